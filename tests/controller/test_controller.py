"""Controllers against an API server: they converge, by one write for each object and change."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from octelium.controller.backoff import Backoff
from octelium.controller.controller import LEASE_PREFIX
from octelium.controller.kube import informer
from octelium.controller.kube.errors import AbsentError, KubeError
from octelium.controller.kube.kinds import (
    DEPLOYMENT,
    LEASE,
    NETWORK_POLICY,
    OWNED,
    SECRET,
    SERVICE,
)
from octelium.controller.objects.outcome import Desired, Problem
from tests.conftest import SOAK
from tests.controller.world import CLUSTER, PACE, RULES, World, managed, with_secret
from tests.peers.kubernetes.access import Rule
from tests.peers.kubernetes.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Generator

    from octelium.controller.managed import Managed

MANY = 100 if SOAK else 12
"""Container Services."""
AWAY = 30.0 if SOAK else 0.05
"""Seconds for which the API server is away."""


@pytest.fixture(autouse=True)
def no_faults(request: pytest.FixtureRequest) -> Generator[None]:
    """Faults end with their test."""
    yield
    if "emulated" in request.fixturenames or "alone" in request.fixturenames:
        request.getfixturevalue("emulated").kubernetes.faults.clear()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are tried again sooner; how long the pauses are is shown where they are made."""
    real = Backoff.next

    def soon(self: Backoff, at_least: float = 0.0) -> float:
        return at_least + real(self) / 20

    monkeypatch.setattr(Backoff, "next", soon)
    monkeypatch.setattr(informer, "SHORTEST", 0.05)


@pytest.fixture
def no_pods(request: pytest.FixtureRequest) -> Generator[None]:
    """Nobody makes Pods: where there are many containers they would only take time."""
    manager = request.getfixturevalue("emulated").kubernetes.manager
    manager.pause()
    yield
    manager.resume()


async def quiet(world: World) -> None:
    """Look at everything again, twice: nothing must be written."""
    for _ in range(2):
        for controller, _, _ in world.running.values():
            controller.changed()
        await world.settled()
    assert world.written() == Counter()


async def test_many_are_made_changed_and_taken_away(world: World, no_pods: None) -> None:
    first = [managed(number) for number in range(MANY)]
    world.want(*first)
    world.start()
    await world.settled()
    assert world.written() == world.each("patch", *first)
    await quiet(world)
    uids = {(kind, name): value["metadata"]["uid"] for kind, name, value in await world.objects()}

    later = [managed(number, "nginx:2") for number in range(MANY // 2)]
    world.want(*later)
    await world.settled()
    deployments = Counter(("patch", DEPLOYMENT.plural, world.name(one)) for one in later)
    assert world.written() == deployments
    await quiet(world)
    assert uids == {
        (kind, name): value["metadata"]["uid"] for kind, name, value in await world.objects()
    }

    gone = list(world.wants.values())
    world.drop(*gone)
    await world.settled()
    assert world.written() == world.each("delete", *gone)
    await quiet(world)
    assert await world.objects() == []


async def test_a_fault_about_one_container_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, no_pods: None
) -> None:
    faulty, sound = managed(0), managed(1)
    build = world.build

    def failing(one: Managed) -> Desired:
        if one.key == faulty.key:
            raise KeyError("fault")
        return build(one)

    monkeypatch.setattr(world, "build", failing)
    world.want(faulty, sound)
    world.start()
    await world.until(
        lambda: faulty.key in world.told and world.told[faulty.key].reason == "Internal",
        "the fault",
    )
    assert not world.told[faulty.key].ready
    # And what is wanted later is kept as well.
    later = managed(2)
    world.want(later)
    names = {build(one).name for one in (sound, later)}

    async def deployed() -> set[str]:
        return {name for kind, name, _ in await world.objects() if kind is DEPLOYMENT}

    async with asyncio.timeout(120):
        while await deployed() != names:
            await asyncio.sleep(0.05)


async def test_there_are_so_many_at_a_time_and_who_comes_later_waits(world: World) -> None:
    first, later = [managed(1), managed(2)], managed(0)

    def refused() -> bool:
        return later.key in world.told and world.told[later.key].reason == "TooMany"

    world.want(*first)
    world.start(most=2)
    await world.settled()
    world.want(later)
    await world.until(refused, "the refusal")
    assert "2 containers" in world.told[later.key].message
    kept = {world.name(one) for one in first}
    assert {name for kind, name, _ in await world.objects() if kind is DEPLOYMENT} == kept

    # Another controller, which begins anew, does not give the place of one that exists away.
    await world.end()
    world.told.clear()
    world.wants = {one.key: one for one in (later, *first)}
    world.start(most=2)
    await world.until(refused, "the refusal")
    assert {name for kind, name, _ in await world.objects() if kind is DEPLOYMENT} == kept
    world.drop(first[0])
    await world.settled()
    await world.until(lambda: not refused())


async def test_they_are_told_ready(alone: World) -> None:
    one = managed(1, replicas=2)
    alone.want(one)
    controller = alone.start()
    await alone.until(lambda: alone.told.get(one.key) and alone.told[one.key].ready)
    await alone.until(lambda: not alone.told[one.key].reason)
    state = alone.told[one.key]
    assert state.address.count(".") == 3
    assert state.port == 8080
    assert (state.desired, state.replicas, state.ready_replicas, state.updated) == (2, 2, 2, 2)
    assert (state.image, state.message) == ("nginx", "")
    key = one.key
    await alone.until(lambda: any(told.object.startswith("Pod") for told in alone.told[key].events))
    assert controller.trouble == ""


@pytest.mark.parametrize(
    ("fate", "reason", "text"),
    [
        ("pull-failure", "ImagePullBackOff", "Back-off pulling image"),
        ("crash", "CrashLoopBackOff", "exit code 1"),
        ("pending", "Unschedulable", "Insufficient cpu"),
        ("unready", "Starting", "0 of 1 replicas are ready"),
    ],
)
async def test_why_one_is_not_ready(alone: World, fate: Any, reason: str, text: str) -> None:
    image = f"{fate}:1"
    kubelet = alone.server.kubernetes.kubelet
    kubelet.behave(image, fate)
    one = managed(1, image)
    alone.want(one)
    alone.start()
    await alone.until(lambda: one.key in alone.told and alone.told[one.key].reason == reason)
    await alone.until(lambda: text in alone.told[one.key].message)
    assert not alone.told[one.key].ready
    kubelet.behave(image, "ready")
    await alone.until(lambda: alone.told[one.key].ready and not alone.told[one.key].reason)
    assert set(alone.written().values()) == {1}


async def test_a_change_keeps_it_ready_until_the_new_ones_are(alone: World) -> None:
    one = managed(1)
    alone.want(one)
    alone.start()
    await alone.until(lambda: one.key in alone.told and alone.told[one.key].ready)
    alone.server.kubernetes.kubelet.behave("broken:1", "crash")
    alone.telling.clear()
    alone.want(managed(1, "broken:1"))
    await alone.until(lambda: alone.told[one.key].reason == "CrashLoopBackOff")
    assert all(state.ready for _, states in alone.telling for state in states)


async def test_a_secret_that_is_not_needed_goes_after_the_rollout(alone: World) -> None:
    one = with_secret(1, "db", b"old")
    alone.want(one)
    alone.start()
    await alone.until(lambda: one.key in alone.told and alone.told[one.key].ready)
    alone.written()
    changed = with_secret(1, "db", b"new")
    alone.want(changed)
    await alone.settled()
    name = alone.name(one)
    assert alone.written() == Counter(
        {("patch", "secrets", f"{name}-env"): 1, ("patch", "deployments", name): 1}
    )
    plain = managed(1)
    alone.want(plain)
    await alone.settled()
    kinds = {kind for kind, _, _ in await alone.objects()}
    assert kinds == {DEPLOYMENT, SERVICE, NETWORK_POLICY}
    assert alone.written() == Counter(
        {("patch", "deployments", name): 1, ("delete", "secrets", f"{name}-env"): 1}
    )


async def test_a_pod_that_leaves_keeps_its_policy(alone: World) -> None:
    one = with_secret(1, "db", b"x")
    alone.want(one)
    controller = alone.start()
    await alone.until(lambda: one.key in alone.told and alone.told[one.key].ready)
    manager = alone.server.kubernetes.manager
    manager.pause()
    try:
        alone.drop(one)
        await alone.until(lambda: not controller._owned[DEPLOYMENT].objects)
        await alone.until(lambda: controller.settled)
        kinds = {kind for kind, _, _ in await alone.objects()}
        assert kinds == {NETWORK_POLICY, SECRET}
    finally:
        manager.resume()
    await alone.settled()


async def test_foreign_changes(world: World) -> None:
    one, two = managed(1), managed(2)
    world.want(one, two)
    world.start()
    await world.settled()
    world.written()
    name = world.name(one)
    merge = "application/merge-patch+json"

    async def edit(kind: Any, patch: dict[str, Any]) -> None:
        path = kind.path(world.namespace, name)
        await world.admin._call("PATCH", path, {"fieldManager": "foreign"}, patch, merge)

    # What is beside our fields stays.
    await edit(DEPLOYMENT, {"metadata": {"labels": {"team": "x"}, "annotations": {"a": "b"}}})
    await edit(DEPLOYMENT, {"spec": {"template": {"spec": {"priority": 0}}}})
    await edit(SERVICE, {"metadata": {"finalizers": None}, "spec": {"sessionAffinity": "ClientIP"}})
    await edit(NETWORK_POLICY, {"metadata": {"annotations": {"a": "b"}}})
    await quiet(world)

    for kind, patch in (
        (DEPLOYMENT, {"spec": {"replicas": 7}}),
        (SERVICE, {"spec": {"selector": {"app": "theirs"}}}),
        (NETWORK_POLICY, {"spec": {"egress": [{}]}}),
    ):
        await edit(kind, patch)
        counted: Counter[Any] = Counter()
        async with asyncio.timeout(120):
            while not counted:
                await asyncio.sleep(0.01)
                counted = world.written()
        await world.settled()
        assert counted + world.written() == {("patch", kind.plural, name): 1}
    live = await world.admin.get(DEPLOYMENT, name)
    assert live["spec"]["replicas"] == 1
    assert live["metadata"]["labels"]["team"] == "x"
    service = await world.admin.get(SERVICE, name)
    assert service["spec"]["sessionAffinity"] == "ClientIP"
    policy = await world.admin.get(NETWORK_POLICY, name)
    assert {} not in policy["spec"]["egress"]
    await quiet(world)


async def test_an_object_that_somebody_deletes_comes_back(world: World) -> None:
    one = managed(1)
    world.want(one)
    world.start()
    await world.settled()
    world.written()
    for kind in (SERVICE, NETWORK_POLICY):
        live = await world.admin.get(kind, world.name(one))
        await world.admin.delete(kind, world.name(one), live["metadata"]["uid"])
        await world.settled()
        found = world.written() - Counter({("delete", kind.plural, world.name(one)): 1})
        assert found == {("patch", kind.plural, world.name(one)): 1}


async def test_the_server_is_away_for_a_while(world: World) -> None:
    before = [managed(number) for number in range(6)]
    world.want(*before)
    controller = world.start()
    await world.settled()
    world.written()
    uids = {(kind, name): one["metadata"]["uid"] for kind, name, one in await world.objects()}
    world.server.stop()
    more = [managed(number) for number in range(6, 12)]
    world.want(*more)
    world.drop(before[0])
    world.want(managed(1, "nginx:2"))
    await world.until(lambda: controller.trouble)
    await asyncio.sleep(AWAY)
    world.server.start()
    await world.settled()
    await world.until(lambda: not controller.trouble)
    expected = world.each("patch", *more) + world.each("delete", before[0])
    expected["patch", "deployments", world.name(before[1])] += 1
    found = world.written()
    if world.server.real:
        # It counts what is sent; attempts at a server that is away are no writes.
        found = Counter(dict.fromkeys(found, 1))
    assert found == expected
    kept = {world.name(one) for one in before[1:]}
    assert all(
        uids[kind, name] == value["metadata"]["uid"]
        for kind, name, value in await world.objects()
        if name in kept
    )
    await quiet(world)


async def test_watches_that_end_break_or_expire(alone: World) -> None:
    alone.want(managed(0))
    alone.start()
    await alone.settled()
    kubernetes = alone.server.kubernetes
    for number, disturb in enumerate(
        (
            kubernetes.end_watches,
            kubernetes.cut_watches,
            kubernetes.send_bookmarks,
            kubernetes.forget_history,
        ),
        1,
    ):
        disturb()
        alone.want(managed(number))
        name = alone.name(managed(number - 1))
        kubernetes.edit("Deployment", name, {"spec": {"replicas": 3}}, alone.namespace)
        await alone.settled()
        await alone.until(
            lambda name=name: (
                kubernetes.all("Deployment", alone.namespace)
                and (kubernetes.get("Deployment", name, alone.namespace) or {})["spec"]["replicas"]
                == 1
            )
        )
    assert max(alone.written().values()) <= 2
    await quiet(alone)


async def test_failures_of_many_kinds(alone: World) -> None:
    faults = alone.server.kubernetes.faults
    user = f"system:serviceaccount:{alone.namespace}:octelium-controller"
    for code, verb, after in (
        (409, "apply", False),
        (429, "apply", False),
        (500, "get", False),
        (503, "apply", False),
        (504, "apply", True),
        (503, "delete", False),
        (504, "delete", True),
        (500, "list", False),
        (503, "watch", False),
    ):
        faults.add(Fault(code, verb=verb, after=after, times=3, retry_after=0, user=user))
    several = [managed(number) for number in range(5)]
    alone.want(*several)
    alone.start()
    await alone.settled()
    alone.drop(*several)
    await alone.settled()
    assert await alone.objects() == []
    assert all(
        fault.hits == 3 for fault in faults.set if fault.verb in ("apply", "get", "delete", "list")
    )


async def test_orphans_go_and_what_others_have_stays(world: World) -> None:
    old = [with_secret(number, "db", b"x") for number in range(3)]
    for value in world.build(old[0]).objects:
        kind = next(kind for kind in OWNED if kind.name == value["kind"])
        await world.admin.apply(kind, value)
    # One that was only begun, and what is not ours.
    begun, theirs = world.build(old[1]).objects[0], world.build(old[2]).objects[0]
    await world.admin.apply(SECRET, begun)
    theirs["metadata"]["labels"]["octelium.com/cluster"] = "another"
    await world.admin.apply(SECRET, theirs)
    own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"}, "data": {}}
    await world.admin.apply(SECRET, own)
    kept = managed(7)
    world.want(kept)
    world.start()
    await world.settled()
    assert {name for _, name, _ in await world.objects()} == {world.name(kept)}
    assert len(await world.objects("another")) == 1
    assert (await world.admin.get(SECRET, "own"))["metadata"]["name"] == "own"


async def test_nothing_happens_before_everything_is_known(world: World) -> None:
    old = managed(0)
    for value in world.build(old).objects:
        kind = next(kind for kind in OWNED if kind.name == value["kind"])
        await world.admin.apply(kind, value)
    world.server.forget(world.namespace)
    world.complete = False
    world.want(managed(1))
    controller = world.start()
    await world.until(lambda: controller.leading and controller.settled)
    controller.changed()
    await world.until(lambda: controller.settled)
    assert world.written() == Counter()
    assert len(await world.objects()) == 3
    assert world.told == {}
    world.complete = True
    controller.changed()
    await world.settled()
    assert world.written() == world.each("patch", managed(1)) + world.each("delete", old)


async def test_an_object_of_others_is_left_and_told(world: World) -> None:
    one = managed(1)
    theirs: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": world.name(one), "labels": {"app": "theirs"}},
        "spec": {"ports": [{"port": 99}]},
    }
    await world.admin.create(SERVICE, theirs)
    world.want(one)
    world.start()
    await world.until(lambda: one.key in world.told and world.told[one.key].reason == "NameTaken")
    assert world.name(one) in world.told[one.key].message
    live = await world.admin.get(SERVICE, world.name(one))
    assert live["metadata"]["labels"] == {"app": "theirs"}
    with pytest.raises(AbsentError):
        await world.admin.get(DEPLOYMENT, world.name(one))


async def test_what_may_not_be_done_is_told(world: World) -> None:
    await world.allow([rule for rule in RULES if rule["apiGroups"] != ["networking.k8s.io"]])
    networks = [rule for rule in RULES if rule["apiGroups"] == ["networking.k8s.io"]]
    reading = [{**networks[0], "verbs": ["get", "list", "watch"]}]
    await world.allow([rule for rule in RULES if rule not in networks] + reading)
    one = managed(1)
    world.want(one)
    world.start()
    await world.until(lambda: one.key in world.told and world.told[one.key].reason == "Forbidden")
    assert "networkpolicies" in world.told[one.key].message
    with pytest.raises(AbsentError):
        await world.admin.get(DEPLOYMENT, world.name(one))
    await world.allow(RULES)
    world.want(managed(1, "nginx:2"))
    await world.settled()
    await world.until(lambda: world.told[one.key].reason != "Forbidden")


async def test_a_lease_that_is_refused_is_told(world: World) -> None:
    leases = [rule for rule in RULES if rule["resources"] == ["leases"]]
    await world.allow([rule for rule in RULES if rule not in leases])
    one = managed(1)
    world.want(one)
    controller = world.start()
    await world.until(lambda: one.key in world.told)
    assert world.told[one.key].reason == "Refused"
    assert "leases" in world.told[one.key].message
    assert "leases" in controller.trouble
    assert world.written() == Counter()
    await world.allow(RULES)
    await world.settled()
    await world.until(lambda: world.told[one.key].reason != "Refused")
    assert controller.trouble == ""


async def test_a_list_that_is_refused_is_told(world: World) -> None:
    await world.allow([rule for rule in RULES if "pods" not in rule["resources"]])
    world.want(managed(1))
    controller = world.start()
    await world.until(lambda: "pods" in controller.trouble and controller.leading)
    assert "forbidden" in controller.trouble
    controller.changed()
    await world.until(lambda: controller._queue.idle)
    # Without knowing the Pods nothing is changed.
    assert world.written() == Counter()


async def test_a_namespace_that_is_missing_is_told(alone: World) -> None:
    alone.namespace = "nowhere"
    user = "system:serviceaccount:nowhere:octelium-controller"
    access = alone.server.kubernetes.access
    access.rules.append(Rule(user, "", ("*",), ("*",), ("*",)))
    one = managed(1)
    alone.want(one)
    alone.start()
    await alone.until(lambda: one.key in alone.told)
    assert alone.told[one.key].reason == "Refused"
    assert "nowhere" in alone.told[one.key].message
    access.rules.pop()


async def test_pods_that_the_namespace_refuses_are_told(alone: World) -> None:
    alone.server.kubernetes.edit(
        "Namespace",
        alone.namespace,
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
        "",
    )
    one = managed(1)
    alone.want(one)
    alone.start()
    await alone.until(
        lambda: one.key in alone.told and alone.told[one.key].reason == "FailedCreate"
    )
    assert "PodSecurity" in alone.told[one.key].message


async def test_a_container_with_a_problem_is_left_as_it_is(world: World) -> None:
    one = managed(1)
    world.want(one)
    controller = world.start()
    await world.settled()
    world.written()
    real = world.build

    def build(asked: Any) -> Desired:
        if asked.container.image == "other":
            return Desired(world.name(one), problems=(Problem("SecretMissing", "no Secret db"),))
        if asked.container.image == "odd":
            raise ValueError("what is that")
        return real(asked)

    controller._build = build
    for image, reason in (("other", "SecretMissing"), ("odd", "Invalid")):
        world.want(managed(1, image))
        await world.until(lambda reason=reason: world.told[one.key].reason == reason)
    assert world.written() == Counter()
    assert len(await world.objects()) == 3


async def test_exactly_the_rights_that_are_needed(alone: World) -> None:
    one = with_secret(1, "db", b"x")
    alone.want(one)
    alone.start()
    await alone.settled()
    alone.want(managed(1))
    await alone.settled()
    alone.drop(one)
    await alone.settled()
    used: dict[str, set[str]] = {}
    for asked in alone.server.kubernetes.faults.requests(namespace=alone.namespace):
        if asked.user.startswith("system:serviceaccount:"):
            assert asked.code < 400 or asked.code in (404, 409), asked
            # To apply an object that is not there takes the right to create one.
            verbs = {"apply": {"patch", "create"}}.get(asked.verb, {asked.verb})
            used.setdefault(asked.resource, set()).update(verbs)
    granted = {resource: set(rule["verbs"]) for rule in RULES for resource in rule["resources"]}
    assert used == granted


async def test_a_token_that_rotates(alone: World) -> None:
    account = alone.server.kubernetes.account(alone.namespace, "octelium-controller")
    alone.server.kubernetes.account = lambda *_: account  # type: ignore[method-assign]  # one for all
    try:
        alone.start()
    finally:
        del alone.server.kubernetes.account
    alone.want(managed(1))
    await alone.settled()
    account.rotate(revoke=True)
    alone.server.kubernetes.cut_watches()
    alone.want(managed(2))
    await alone.settled()


async def test_of_two_only_one_writes_and_tells(world: World) -> None:
    several = [managed(number) for number in range(5)]
    world.want(*several)
    world.start("one")
    await world.settled()
    second = world.start("two")
    await world.until(lambda: second.synced)
    later = [managed(number, "nginx:2") for number in range(5)]
    world.want(*later)
    await world.settled()
    assert {who for who, _ in world.telling} == {"one"}
    expected = world.each("patch", *several)
    for one in later:
        expected["patch", "deployments", world.name(one)] += 1
    assert world.written() == expected
    assert not second.leading

    await world.end("one")
    await world.until(lambda: second.leading)
    lease = await world.admin.get(LEASE, LEASE_PREFIX + CLUSTER)
    assert lease["spec"]["holderIdentity"] == "two"
    assert lease["spec"]["leaseTransitions"] == 1
    world.want(managed(9))
    await world.settled()
    assert world.written() == world.each("patch", managed(9))
    await world.until(lambda: world.telling[-1][0] == "two")


async def test_who_loses_the_lease_writes_nothing_more(world: World) -> None:
    controller = world.start("one")
    await world.until(lambda: controller.leading and controller.settled)
    lease = await world.admin.get(LEASE, LEASE_PREFIX + CLUSTER)
    path = LEASE.path(world.namespace, LEASE_PREFIX + CLUSTER)
    stolen = {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 3600}}
    await world.admin._call("PATCH", path, {}, stolen, "application/merge-patch+json")
    assert lease["spec"]["holderIdentity"] == "one"
    await world.until(lambda: not controller.leading)
    world.telling.clear()
    world.want(managed(1))
    controller.changed()
    await world.until(lambda: controller.settled)
    assert (world.written(), world.telling) == (Counter(), [])
    # It follows all the same, and goes on when it leads again.
    for value in world.build(managed(2)).objects:
        kind = next(kind for kind in OWNED if kind.name == value["kind"])
        await world.admin.apply(kind, value)
    await world.until(lambda: world.name(managed(2)) in controller._owned[DEPLOYMENT].objects)
    free = {"spec": {"holderIdentity": ""}}
    await world.admin._call("PATCH", path, {}, free, "application/merge-patch+json")
    await world.settled()
    assert controller.leading


async def test_a_controller_is_killed_in_the_midst(alone: World) -> None:
    several = [managed(number) for number in range(8)]
    account = alone.server.controller(alone.namespace)
    assert account.ca is not None
    assert account.token is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.controller.running",
        account.server,
        str(account.ca),
        str(account.token),
        alone.namespace,
        str(len(several)),
        cwd=Path(__file__).parents[2],
    )
    try:
        await alone.until(lambda: len(alone.server.written(alone.namespace)) >= 5)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        await process.wait()
    assert process.returncode == -signal.SIGKILL
    alone.want(*several)
    second = alone.start("second")
    await alone.until(lambda: second.synced and second.election._seen)
    assert not second.leading
    # The Lease of the first runs out.
    second.election._now = lambda: time.monotonic() + PACE.duration
    await alone.settled()
    found = alone.written()
    assert set(found) == set(alone.each("patch", *several))
    # Of a write that nobody was told of, the second one finds the effect or makes it.
    assert sum(found.values()) <= len(found) + PACE.workers
    await quiet(alone)


async def test_a_wild_day(alone: World) -> None:
    """Changes, edits, deletions, faults and broken watches in any order; in the end all is well."""
    chance = random.Random(20)
    kubernetes = alone.server.kubernetes
    alone.start("one")
    alone.start("two")
    for _ in range(300 if SOAK else 30):
        number = chance.randrange(6)
        one = managed(number, f"image:{chance.randrange(3)}", replicas=chance.randint(1, 3))
        step = chance.randrange(9)
        if step < 3:
            alone.want(one)
        elif step == 3 and one.key in alone.wants:
            alone.drop(one)
        elif step == 4:
            for kind in chance.sample(["Deployment", "Service", "NetworkPolicy"], 1):
                if kubernetes.get(kind, alone.name(one), alone.namespace):
                    kubernetes.delete(kind, alone.name(one), alone.namespace)
        elif step == 5 and kubernetes.get("Deployment", alone.name(one), alone.namespace):
            patch = {"spec": {"replicas": 9}}
            kubernetes.edit("Deployment", alone.name(one), patch, alone.namespace)
        elif step == 6:
            chance.choice([kubernetes.cut_watches, kubernetes.forget_history])()
        elif step == 7:
            code = chance.choice([409, 500, 503])
            kubernetes.faults.add(Fault(code, after=chance.random() < 0.5))
        await asyncio.sleep(0.01 * chance.randrange(3))
    kubernetes.faults.clear()
    for controller, _, _ in alone.running.values():
        controller.changed()
    await alone.settled()
    found = [(kind, name) for kind, name, _ in await alone.objects()]
    assert len(found) == len(set(found)) == 3 * len(alone.wants)


async def test_a_part_that_fails_ends_the_controller(alone: World) -> None:
    controller = alone.start("one", dataclasses.replace(PACE, workers=1))

    def fail() -> bool:
        raise KubeError("by the test")

    controller._complete = fail
    alone.want(managed(1))
    _, task, api = alone.running.pop("one")
    with pytest.raises(KubeError, match="by the test"):
        await task
    await api.close()
