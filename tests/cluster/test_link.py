from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cluster import link
from octelium.cluster.child import EXIT_UNUSABLE, Assignment
from octelium.tunnel.link import helper
from octelium.tunnel.link.doors import ROLES
from octelium.tunnel.link.namespace import NamespaceError
from octelium.tunnel.link.tun import TunError

if TYPE_CHECKING:
    from octelium.tunnel.link.plan import LinkPlan


class Told(Assignment):
    """An assignment whose messages the test reads."""

    messages: list[dict[str, Any]]

    def tell(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


def assignment(*, first: bool) -> Told:
    ends = {role: [socket.socket(socket.AF_UNIX).detach()] for role in ROLES}
    descriptors = {**ends, "namespace": [5, 6]}
    made = Told("link", "link", 7, {}, descriptors, first=first)
    object.__setattr__(made, "messages", [])
    return made


@pytest.mark.parametrize("first", [True, False])
def test_only_the_first_one_makes_anything_by_itself(
    monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    plans: list[LinkPlan | None] = []

    def run(listening: None, namespace: Any, **given: Any) -> None:
        assert listening is None
        assert set(given["doors"]) == set(ROLES)
        for door in given["doors"].values():
            door.close()
        assert (namespace.descriptors, given["parent"]) == ([5, 6], 7)
        plans.append(given["plan"])
        given["ready"]()

    monkeypatch.setattr(helper, "run", run)
    told = assignment(first=first)
    link.run(told)
    assert plans == [link.FIRST_PLAN if first else None]
    assert told.messages == [{"ready": True}]


@pytest.mark.parametrize("error", [NamespaceError("no namespace"), TunError(1, "no device")])
def test_why_it_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def run(*_: Any, **given: Any) -> None:
        for door in given["doors"].values():
            door.close()
        raise error

    monkeypatch.setattr(helper, "run", run)
    told = assignment(first=True)
    assert link.run(told) == EXIT_UNUSABLE
    assert told.messages == [{"error": str(error)}]


def test_the_first_plan_opens_nothing() -> None:
    plan = link.FIRST_PLAN
    assert (plan.local_routes, plan.tun_routes, plan.tun_addresses) == ((), (), ())
