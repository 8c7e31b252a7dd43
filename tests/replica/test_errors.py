from __future__ import annotations

from octelium.replica.errors import FeedError


def test_it_says_what_it_was_given() -> None:
    assert str(FeedError("revision 9 does not follow 7")) == "revision 9 does not follow 7"
