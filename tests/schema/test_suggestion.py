from __future__ import annotations

import pytest

from octelium.schema.suggestion import closest, did_you_mean


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("clientid", "clientID"),
        ("client_id", "clientID"),
        ("CLIENT-ID", "clientID"),
        ("is_tsl", "isTLS"),
        ("isPubic", "isPublic"),
        ("zzz", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_closest(word: str, found: str | None) -> None:
    assert closest(word, ["clientID", "isTLS", "isPublic"]) == found


def test_the_remedy_falls_back() -> None:
    assert did_you_mean("aa", ["aaa"]) == "did you mean aaa?"
    assert did_you_mean("zz", ["aaa"], otherwise="one of aaa") == "one of aaa"
