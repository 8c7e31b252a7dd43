from __future__ import annotations

from octelium.schema.containers import (
    BASELINE_CAPABILITIES,
    CAPABILITIES,
    refused_capabilities,
)


def test_linux_has_41_capabilities_of_which_13_may_be_added() -> None:
    assert len(CAPABILITIES) == 41
    assert len(BASELINE_CAPABILITIES) == 13
    assert not any(name.startswith("CAP_") for name in CAPABILITIES)


def test_capabilities_beyond_the_baseline_are_told() -> None:
    added = ["NET_RAW", "CHOWN", "ALL", "NET_RAW", "NET_BIND_SERVICE"]
    assert refused_capabilities(added) == ["ALL", "NET_RAW"]
    assert refused_capabilities(["CHOWN"]) == []
