from __future__ import annotations

import pytest

from octelium.visibility.metrics import Registry


def test_series_are_labelled_by_process() -> None:
    registry = Registry()
    registry.receive("worker-0", b'{"octelium_requests_total{decision=\\"allowed\\"}": 3}')
    registry.update("control", {"octelium_store_revision": 7, "unknown_metric": 1})
    assert registry.render().splitlines() == [
        "# HELP octelium_store_revision Committed revision of the store.",
        "# TYPE octelium_store_revision gauge",
        'octelium_store_revision{process="control"} 7',
        "# HELP octelium_requests_total Requests that arrived.",
        "# TYPE octelium_requests_total counter",
        'octelium_requests_total{process="worker-0",decision="allowed"} 3',
    ]


@pytest.mark.parametrize("payload", [b"[]", b'{"a": "b"}', b"{"])
def test_what_is_no_object_of_numbers_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):
        Registry().receive("worker-0", payload)
