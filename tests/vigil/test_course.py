from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.vigil.course import Course
from octelium.vigil.relay import Relay

if TYPE_CHECKING:
    import pytest

    from tests.vigil.world import World


async def test_what_expressions_may_know(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    begun = Relay.response_head

    def look(self: Relay, *given: Any) -> None:
        exchange = self._exchange()
        assert (exchange.client_address, exchange.path) == ("127.0.0.1", b"/a/b")
        assert exchange.decision is self._decision
        seen.append(dict(self._context()))
        begun(self, *given)

    monkeypatch.setattr(Relay, "response_head", look)
    await here.request("/a/b?c=d")
    (context,) = seen
    assert context["request"]["http"]["path"] == "/a/b"
    assert context["service"]["metadata"]["uid"] == here.entry().uid
    assert context["session"]["metadata"]["name"]
    assert context["user"]["metadata"]["name"] == "alice"
    assert "device" not in context


def test_nothing_of_a_relay_is_kept_outside_its_slots() -> None:
    """A dictionary for each request would cost memory and time."""
    assert Relay.__dictoffset__ == 0
    assert [name for one in Relay.__mro__[:-1] for name in vars(one).get("__slots__", ())] == [
        *Course.__slots__
    ]
