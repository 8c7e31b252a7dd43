"""Which failure asks for what."""

from __future__ import annotations

import pytest

from octelium.controller.kube.errors import (
    MAX_MESSAGE,
    AbsentError,
    BusyError,
    ConflictError,
    ExpiredError,
    KubeError,
    RefusedError,
    error_of,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (302, BusyError),
        (400, RefusedError),
        (401, RefusedError),
        (403, RefusedError),
        (404, AbsentError),
        (405, RefusedError),
        (408, BusyError),
        (409, ConflictError),
        (410, ExpiredError),
        (415, RefusedError),
        (422, RefusedError),
        (425, BusyError),
        (429, BusyError),
        (500, BusyError),
        (503, BusyError),
        (504, BusyError),
    ],
)
def test_kinds(code: int, kind: type[KubeError]) -> None:
    error = error_of(code, "why")
    assert type(error) is kind
    assert (error.code, str(error)) == (code, "why")


def test_what_the_server_asks_for() -> None:
    error = error_of(429, "later", 7)
    assert isinstance(error, BusyError)
    assert error.retry_after == 7


def test_long_messages_are_cut() -> None:
    assert len(str(error_of(500, "x" * 9999))) == MAX_MESSAGE
