"""What goes, and when."""

from __future__ import annotations

from typing import Any

from octelium.controller.kube.kinds import DEPLOYMENT, NETWORK_POLICY, SECRET, SERVICE
from octelium.controller.orphans import leftovers, remains


def named(name: str, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **meta}}


EVERYTHING = [
    (DEPLOYMENT, named("a")),
    (SERVICE, named("a")),
    (NETWORK_POLICY, named("a")),
    (SECRET, named("a-env")),
]


def test_pods_keep_their_policy_and_their_secrets_until_they_are_gone() -> None:
    assert [kind for kind, _ in remains(EVERYTHING, pods=1)] == [DEPLOYMENT, SERVICE]
    assert [kind for kind, _ in remains(EVERYTHING[1:], pods=1)] == [SERVICE]
    assert [kind for kind, _ in remains(EVERYTHING[2:], pods=1)] == []
    assert [kind for kind, _ in remains(EVERYTHING[2:], pods=0)] == [NETWORK_POLICY, SECRET]


def test_a_deployment_that_is_going_may_still_make_pods() -> None:
    going = [(DEPLOYMENT, named("a", deletionTimestamp="now")), *EVERYTHING[1:]]
    assert [kind for kind, _ in remains(going, pods=0)] == [SERVICE]


def test_what_is_going_is_not_deleted_again() -> None:
    assert remains([(SECRET, named("a", deletionTimestamp="now"))], pods=0) == ()
    assert leftovers([(SERVICE, named("a", deletionTimestamp="now"))], (), settled=True) == ()


def test_a_secret_nobody_needs_waits_for_the_rollout() -> None:
    wanted = {(DEPLOYMENT, "a"), (SERVICE, "a"), (NETWORK_POLICY, "a")}
    assert leftovers(EVERYTHING, wanted, settled=False) == ()
    assert leftovers(EVERYTHING, wanted, settled=True) == (EVERYTHING[3],)


def test_other_leftovers_do_not_wait() -> None:
    wanted = {(DEPLOYMENT, "a"), (SERVICE, "b"), (NETWORK_POLICY, "a"), (SECRET, "a-env")}
    assert leftovers(EVERYTHING, wanted, settled=False) == (EVERYTHING[1],)
