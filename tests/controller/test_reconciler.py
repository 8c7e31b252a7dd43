"""One container: what is written, what is not, and what becomes of failures."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest

from octelium.controller.drift import drift
from octelium.controller.kube.api import MANAGER
from octelium.controller.kube.errors import (
    AbsentError,
    BusyError,
    ConflictError,
    KubeError,
    RefusedError,
)
from octelium.controller.kube.kinds import (
    DEPLOYMENT,
    NETWORK_POLICY,
    OWNED,
    SECRET,
    SERVICE,
    Kind,
    kind_of,
)
from octelium.controller.objects.names import APPLIED, labels_of
from octelium.controller.objects.outcome import Desired, Problem
from octelium.controller.reconciler import AT_ONCE, FRIENDLY, SLOW, NotNowError, Reconciler
from tests.controller.world import LIMIT, managed
from tests.controller.world import World as Space

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.controller.managed import Key

Object = dict[str, Any]
KEY = ("uid-1", "")
CLUSTER = "c1"


def wanted(image: str = "nginx", *, secret: str = "web-env") -> Desired:
    """A Secret, a Service and a Deployment."""

    def one(version: str, kind: str, name: str, **parts: Any) -> Object:
        meta = {
            "name": name,
            "labels": labels_of(CLUSTER, KEY),
            "annotations": {APPLIED: f"{kind}{parts}"},
        }
        return {"apiVersion": version, "kind": kind, "metadata": meta, **parts}

    return Desired(
        "web",
        (
            one("v1", "Secret", secret, data={"k": "eA=="}),
            one(
                "v1",
                "Service",
                "web",
                spec={"ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}]},
            ),
            one("apps/v1", "Deployment", "web", spec={"replicas": 1, "image": image}),
        ),
    )


class Server:
    """Objects by kind and name, all calls, and failures to come by verb."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str], Object] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.faults: list[tuple[str, KubeError]] = []
        self.version = 0
        self.mutate: Callable[[Object], None] = lambda _: None
        self.open = True

    def _strike(self, verb: str) -> None:
        for number, (on, error) in enumerate(self.faults):
            if on == verb:
                del self.faults[number]
                raise error

    async def get(self, kind: Kind, name: str) -> Object:
        self._strike("get")
        if (kind, name) not in self.objects:
            raise AbsentError("not found", 404)
        return copy.deepcopy(self.objects[kind, name])

    async def apply(self, kind: Kind, value: Object, *, within: float | None = None) -> Object:
        assert within == 7.0
        name = value["metadata"]["name"]
        self.calls.append(("apply", kind.name, name))
        self._strike("apply")
        before = self.objects.get((kind, name))
        uid = value["metadata"].get("uid")
        if uid is not None and (before is None or before["metadata"]["uid"] != uid):
            raise ConflictError("uid mismatch", 409)
        return self.put(kind, value)

    def put(self, kind: Kind, value: Object, *, manager: str = MANAGER) -> Object:
        self.version += 1
        name = value["metadata"]["name"]
        before = self.objects.get((kind, name))
        made = copy.deepcopy(value)
        uid = f"uid-{self.version}" if before is None else before["metadata"]["uid"]
        made["metadata"] |= {
            "uid": uid,
            "resourceVersion": str(self.version),
            "managedFields": [{"manager": manager, "operation": "Apply"}],
        }
        self.mutate(made)
        self.objects[kind, name] = made
        return copy.deepcopy(made)

    async def merge(self, kind: Kind, value: Object, *, within: float | None = None) -> Object:
        assert within == 7.0
        name = value["metadata"]["name"]
        self.calls.append(("merge", kind.name, name))
        found = self.objects[kind, name]
        return self.put(kind, {**found, "spec": {**found["spec"], **value["spec"]}})

    async def delete(self, kind: Kind, name: str, uid: str, *, within: float | None = None) -> None:
        assert within == 7.0
        self.calls.append(("delete", kind.name, name))
        self._strike("delete")
        if (kind, name) not in self.objects:
            raise AbsentError("not found", 404)
        assert self.objects[kind, name]["metadata"]["uid"] == uid
        del self.objects[kind, name]

    async def write(self, call: Callable[[float], Awaitable[Any]]) -> Any:
        if not self.open:
            raise NotNowError
        return await call(7.0)


class Cached:
    """What a watch has told so far; `catch_up` has it tell the rest."""

    def __init__(self, server: Server, kind: Kind) -> None:
        self.server = server
        self.kind = kind
        self.known: dict[str, Object] = {}

    def of(self, group: Key) -> dict[str, Object]:
        assert group == KEY
        return self.known

    def put(self, value: Object) -> None:
        self.known[value["metadata"]["name"]] = copy.deepcopy(value)

    def going(self, name: str) -> None:
        self.known[name]["metadata"]["deletionTimestamp"] = "sent"

    def catch_up(self) -> None:
        self.known = {
            name: copy.deepcopy(one)
            for (kind, name), one in self.server.objects.items()
            if kind is self.kind and one["metadata"]["labels"] == labels_of(CLUSTER, KEY)
        }


class World:
    """A reconciler with everything around it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.server = Server()
        self.caches = {kind: Cached(self.server, kind) for kind in OWNED}
        self.pods: Any = Cached(self.server, Kind("v1", "Pod", "pods"))
        self.reconciler = Reconciler(
            self.server,
            dict(self.caches),
            self.pods,
            self.server,
            CLUSTER,
            now=lambda: self.now,
        )
        self.course = self.reconciler.course(KEY)

    async def reconcile(self, desired: Desired | None) -> float | None:
        return await self.reconciler.reconcile(KEY, desired)

    def calls(self) -> list[tuple[str, str, str]]:
        made, self.server.calls = self.server.calls, []
        return made

    def catch_up(self) -> None:
        for cache in self.caches.values():
            cache.catch_up()

    async def made(self, desired: Desired | None = None) -> World:
        """With everything in place."""
        assert await self.reconcile(desired or wanted()) is None
        self.calls()
        return self


ALL = [("apply", "Secret", "web-env"), ("apply", "Service", "web"), ("apply", "Deployment", "web")]


async def test_everything_is_written_once_in_order() -> None:
    world = World()
    desired = wanted()
    assert await world.reconcile(desired) is None
    assert world.calls() == ALL
    for _ in range(3):
        assert await world.reconcile(desired) is None
        world.catch_up()
    assert world.calls() == []
    assert (world.course.reason, world.course.message) == ("", "")


async def test_a_cache_that_lags_behind_costs_no_write() -> None:
    world = await World().made()
    for cache in world.caches.values():
        cache.known = {}
    assert await world.reconcile(wanted()) is None
    assert world.calls() == []


async def test_only_what_changes_is_written() -> None:
    world = await World().made()
    assert await world.reconcile(wanted("other")) is None
    assert world.calls() == [("apply", "Deployment", "web")]


async def test_a_foreign_change_is_put_right_by_one_write() -> None:
    world = await World().made()
    world.server.objects[DEPLOYMENT, "web"]["spec"]["replicas"] = 9
    world.server.objects[DEPLOYMENT, "web"]["spec"]["foreign"] = True
    world.catch_up()
    assert await world.reconcile(wanted()) is None
    assert world.calls() == [("apply", "Deployment", "web")]


async def test_an_object_that_somebody_deleted_comes_back() -> None:
    world = await World().made()
    del world.server.objects[SERVICE, "web"]
    world.catch_up()
    assert await world.reconcile(wanted()) is None
    assert world.calls() == [("apply", "Service", "web")]


async def test_labels_that_somebody_took_away_come_back() -> None:
    world = await World().made()
    world.server.objects[SERVICE, "web"]["metadata"]["labels"] = {}
    world.catch_up()
    assert await world.reconcile(wanted()) is None
    assert world.calls() == [("apply", "Service", "web")]
    assert world.server.objects[SERVICE, "web"]["metadata"]["labels"] == labels_of(CLUSTER, KEY)


async def test_ownership_that_was_cleared_is_taken_again() -> None:
    world = await World().made()
    world.server.objects[SERVICE, "web"]["metadata"]["managedFields"] = []
    world.catch_up()
    assert await world.reconcile(wanted()) is None
    assert world.calls() == [("apply", "Service", "web")]


@pytest.mark.parametrize(
    ("labels", "manager"),
    [
        ({}, "kubectl"),
        ({"app": "theirs"}, "kubectl"),
        (labels_of("other-cluster", KEY), MANAGER),
        (labels_of(CLUSTER, ("other", "")), "kubectl"),
        (labels_of(CLUSTER, ("other", "")), MANAGER),
        (labels_of(CLUSTER, (KEY[0], "blue")), MANAGER),
    ],
)
async def test_an_object_of_others_is_not_adopted(labels: dict[str, str], manager: str) -> None:
    world = World()
    theirs = {"metadata": {"name": "web", "labels": labels}, "spec": {"theirs": True}}
    world.server.put(DEPLOYMENT, theirs, manager=manager)
    desired = wanted()
    wait = await world.reconcile(desired)
    assert wait is not None
    assert SLOW / 2 <= wait <= SLOW
    assert world.calls() == ALL[:2]
    assert world.course.reason == "NameTaken"
    assert "Deployment web" in world.course.message
    assert world.server.objects[DEPLOYMENT, "web"]["spec"] == {"theirs": True}
    assert await world.reconcile(None) is None
    world.catch_up()
    assert (DEPLOYMENT, "web") in world.server.objects


async def test_with_a_problem_nothing_is_touched() -> None:
    world = await World().made()
    problem = Desired("web", problems=(Problem("SecretMissing", "there is no Secret db"),))
    assert await world.reconcile(problem) is None
    assert world.calls() == []
    assert world.course.reason == "SecretMissing"
    assert world.course.message == "there is no Secret db"
    assert await world.reconcile(wanted()) is None
    assert world.course.reason == ""


@pytest.mark.parametrize(
    ("runs", "port", "written"), [(True, 80, 1), (True, 81, 0), (False, 80, 0)]
)
async def test_with_a_problem_what_runs_is_kept_within_its_bounds(
    runs: bool, port: int, written: int
) -> None:
    world = World()
    if runs:
        await world.made()
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": "web",
            "labels": labels_of(CLUSTER, KEY),
            "annotations": {APPLIED: "policy"},
        },
        "spec": {"ingress": [{"ports": [{"port": port, "protocol": "TCP"}]}]},
    }
    problem = Desired("web", (), (Problem("SecretMissing", "there is no Secret db"),), policy)
    for _ in range(2):
        assert await world.reconcile(problem) is None
    assert world.calls() == [("apply", "NetworkPolicy", "web")] * written
    assert world.course.reason == "SecretMissing"


async def test_nothing_is_written_behind_a_closed_gate() -> None:
    world = World()
    world.server.open = False
    assert await world.reconcile(wanted()) is None
    assert world.calls() == []
    assert world.course.reason == ""


async def test_a_conflict_is_tried_again_at_once_but_not_for_ever() -> None:
    world = World()
    desired = wanted()
    world.server.faults = [("apply", ConflictError("changed", 409))] * (AT_ONCE + 1)
    for _ in range(AT_ONCE):
        assert await world.reconcile(desired) == 0
    wait = await world.reconcile(desired)
    assert wait
    world.calls()
    assert await world.reconcile(desired) == pytest.approx(wait)
    assert world.calls() == []
    world.now += wait
    assert await world.reconcile(desired) is None
    assert len(world.calls()) == 3


async def test_a_busy_server_is_given_the_time_it_asks_for() -> None:
    world = World()
    world.server.faults = [("apply", BusyError("later", 429, 30))]
    wait = await world.reconcile(wanted())
    assert wait is not None
    assert wait >= 30
    assert len(world.calls()) == 1
    # Not even for another wish.
    assert await world.reconcile(wanted("other")) == pytest.approx(wait)
    assert world.calls() == []
    assert world.course.reason == ""


async def test_failures_that_last_are_told_and_end_with_the_first_success() -> None:
    world = World()
    desired = wanted()
    world.server.faults = [("get", BusyError("cannot be reached"))] * 4
    waits = []
    for _ in range(4):
        wait = await world.reconcile(desired)
        assert wait is not None
        waits.append(wait)
        world.now += wait
    assert waits[3] > waits[0]
    assert world.course.reason == "Unreachable"
    assert await world.reconcile(desired) is None
    assert world.course.reason == ""


async def test_who_waits_for_the_server_goes_on_when_it_is_back() -> None:
    world = World()
    desired = wanted()
    world.server.faults = [("get", BusyError("cannot be reached", 0, 200))]
    assert await world.reconcile(desired)
    assert world.reconciler.recovered() == [KEY]
    assert await world.reconcile(desired) is None
    assert world.reconciler.recovered() == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RefusedError("deployments is forbidden", 403), "Forbidden"),
        (RefusedError("Unauthorized", 401), "Forbidden"),
        (RefusedError("spec: Invalid value", 422), "Refused"),
        (AbsentError('namespaces "x" not found', 404), "Refused"),
    ],
)
async def test_what_is_refused_is_told_and_waits_for_another_wish(
    error: KubeError, reason: str
) -> None:
    world = World()
    desired = wanted()
    world.server.faults = [("apply", error)]
    wait = await world.reconcile(desired)
    assert wait is not None
    assert SLOW / 2 <= wait <= SLOW
    assert world.calls() == ALL[:1]
    assert world.course.reason == reason
    assert str(error) in world.course.message
    assert await world.reconcile(desired) == pytest.approx(wait)
    assert world.reconciler.recovered() == []
    assert world.calls() == []
    assert await world.reconcile(wanted("other")) is None
    assert world.calls() == ALL
    assert world.course.reason == ""


async def test_who_changes_everything_on_its_way_in_makes_no_loop() -> None:
    world = World()

    def mutate(value: Object) -> None:
        if value["kind"] == "Deployment":
            value["spec"]["replicas"] = 5

    world.server.mutate = mutate
    desired = wanted()
    wait = await world.reconcile(desired)
    assert wait is not None
    assert wait >= SLOW / 2
    assert world.course.reason == "Changed"
    assert "spec.replicas" in world.course.message
    assert world.calls() == ALL
    for _ in range(5):
        await world.reconcile(desired)
    assert world.calls() == []


async def test_a_fight_with_somebody_gets_slower() -> None:
    world = await World().made()
    desired = wanted()
    writes = 0
    for _ in range(600):
        world.server.objects[DEPLOYMENT, "web"]["spec"]["replicas"] = 9
        world.catch_up()
        await world.reconcile(desired)
        writes += len(world.calls())
        world.now += 0.5
    assert FRIENDLY < writes < 20
    assert world.course.reason == "Contested"
    assert "spec.replicas" in world.course.message
    world.now += 1000
    assert await world.reconcile(desired) is None
    assert len(world.calls()) == 1
    assert world.course.reason == ""


async def test_an_object_that_is_going_is_waited_for() -> None:
    world = await World().made()
    world.server.objects[SERVICE, "web"]["metadata"]["deletionTimestamp"] = "now"
    world.catch_up()
    assert await world.reconcile(wanted("other")) is None
    assert world.calls() == []
    assert world.course.reason == "Removing"
    del world.server.objects[SERVICE, "web"]
    world.catch_up()
    assert await world.reconcile(wanted("other")) is None
    assert world.calls() == ALL[1:]
    assert world.course.reason == ""


async def test_an_object_that_was_replaced_meanwhile_is_a_conflict() -> None:
    world = await World().made()
    real = world.server.get

    async def get(kind: Kind, name: str) -> Object:
        found = await real(kind, name)
        found["metadata"]["uid"] = "of the one before"
        return found

    world.server.get = get  # type: ignore[method-assign]  # a read that is overtaken
    assert await world.reconcile(wanted("other")) == 0


def rolled_out(world: World, *, updated: int) -> None:
    """The Deployment's controller has come as far as that."""
    world.server.objects[DEPLOYMENT, "web"]["status"] = {
        "replicas": 1,
        "updatedReplicas": updated,
        "availableReplicas": 1,
    }
    world.pods.known = {"web-1": {"metadata": {"name": "web-1"}}}
    world.catch_up()


async def test_a_secret_that_is_no_longer_needed_goes_after_the_rollout() -> None:
    world = await World().made()
    later = wanted(secret="web-other")
    await world.reconcile(later)
    rolled_out(world, updated=0)
    world.calls()
    assert await world.reconcile(later) is None
    assert world.calls() == []
    rolled_out(world, updated=1)
    assert await world.reconcile(later) is None
    assert world.calls() == [("delete", "Secret", "web-env")]
    assert await world.reconcile(later) is None
    assert world.calls() == []


async def test_all_goes_in_order_each_by_one_call() -> None:
    world = await World().made()
    world.pods.known = {"web-1": {"metadata": {"name": "web-1"}}}
    world.catch_up()
    for _ in range(3):
        assert await world.reconcile(None) is None
    assert world.calls() == [("delete", "Deployment", "web"), ("delete", "Service", "web")]
    world.catch_up()
    assert await world.reconcile(None) is None
    assert world.calls() == []
    world.pods.known = {}
    assert await world.reconcile(None) is None
    assert world.calls() == [("delete", "Secret", "web-env")]
    world.catch_up()
    assert await world.reconcile(None) is None
    assert world.server.objects == {}


async def test_what_is_gone_already_needs_no_deletion() -> None:
    world = await World().made()
    world.server.objects.clear()
    assert await world.reconcile(None) is None
    assert world.calls() == []
    world.catch_up()
    assert await world.reconcile(None) is None
    assert world.calls() == []


async def test_what_is_another_container_s_by_now_stays() -> None:
    world = await World().made()
    theirs = labels_of(CLUSTER, ("other", ""))
    for kind in (DEPLOYMENT, SERVICE):
        world.server.objects[kind, "web"]["metadata"]["labels"] = theirs
    assert await world.reconcile(None) is None
    assert world.calls() == []
    world.catch_up()
    assert await world.reconcile(None) is None
    assert world.calls() == [("delete", "Secret", "web-env")]
    assert (SERVICE, "web") in world.server.objects


async def test_a_deletion_that_fails_is_tried_again() -> None:
    world = await World().made()
    world.server.faults = [("delete", BusyError("later", 503))]
    wait = await world.reconcile(None)
    assert wait
    world.now += wait
    assert await world.reconcile(None) is None
    world.catch_up()
    await world.reconcile(None)
    assert world.server.objects == {}


async def test_what_others_add_to_who_reaches_a_container_is_taken_away(world: Space) -> None:
    one = managed(1)
    world.want(one)
    world.start()
    await world.settled()
    name = world.name(one)
    port = {"name": "back-door", "port": 22, "targetPort": 22, "protocol": "TCP"}
    before = await world.admin.get(SERVICE, name)
    foreign = {
        SERVICE: {
            "type": "NodePort",
            "externalIPs": ["198.51.100.7"],
            "ports": [{**before["spec"]["ports"][0], "name": "first"}, port],
        },
        NETWORK_POLICY: {"ingress": [{}], "egress": [{}]},
    }
    for kind, spec in foreign.items():
        await world.admin.merge(kind, {"metadata": {"name": name}, "spec": spec})
    async with asyncio.timeout(LIMIT):
        for kind in foreign:
            wanted = next(value for value in world.build(one).objects if kind_of(value) is kind)
            while drift(wanted, found := await world.admin.get(kind, name)):
                await asyncio.sleep(0.01)
    found = await world.admin.get(SERVICE, name)
    assert found["spec"]["ports"] == before["spec"]["ports"]
    assert found["spec"]["type"] == "ClusterIP"
    assert "externalIPs" not in found["spec"]
    assert found["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert found["metadata"]["uid"] == before["metadata"]["uid"]
    world.want(managed(1, "other"))
    await world.settled()


def test_only_our_kinds() -> None:
    for value in wanted().objects:
        assert kind_of(value) in (SECRET, SERVICE, DEPLOYMENT)
