from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cluster import builtin
from octelium.cluster.bootstrap import bootstrap
from octelium.cluster.diagnosis import MOST_SERVICES, Diagnosis
from octelium.cluster.layout import Layout
from octelium.cluster.probes import RESOLVERS, Answer
from octelium.cluster.seeding import reseed
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from octelium.vigil.upstream_probe import Probed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from octelium.schema.pb import ext_v1_pb2 as ext


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    layout = Layout(tmp_path)
    layout.store.mkdir()
    made = Resources(await SqliteStore.open(layout.store), Vault([os.urandom(32)]))
    await made.load()
    await bootstrap(made, "octelium.test", layout.ca)
    yield made
    await made.close()


class Feed:
    def __init__(self) -> None:
        self.followers = [("worker-0", 0), ("worker-1", 0), ("gateway", 0)]


class Asking:
    """Workers that answer as a test says."""

    def __init__(self, revision: int) -> None:
        self.answers: dict[str, Answer] = {
            name: Answer(1, revision, "") for name in ("worker-0", "worker-1")
        }
        self.seconds = 0.003
        self.probed: tuple[Probed, ...] | None = ()
        self.asked: list[Sequence[str]] = []
        self.resolvers = False

    async def ask(
        self,
        worker: str,
        services: Sequence[str] | None = None,
        *,
        resolvers: bool = False,
        seconds: float = 0,
    ) -> tuple[Answer, float]:
        answer = self.answers.get(worker)
        if answer is None:
            raise TimeoutError
        if services is None:
            return answer, self.seconds
        self.asked.append(services)
        self.resolvers = resolvers
        if self.probed is None:
            raise TimeoutError
        return Answer(1, answer.revision, answer.link, self.probed), self.seconds


class World:
    def __init__(self, resources: Resources, folder: Path) -> None:
        self.resources = resources
        self.asking = Asking(resources.revision)
        self.feed = Feed()
        self.trouble: str | None = ""
        self.logs = ""
        self.controller: str | None = None
        self.series: dict[str, dict[str, float]] = {}
        self.folder = folder

    async def parts(self, count: int = 0) -> dict[str, ext.DiagnosedPart]:
        gateway = None if self.trouble is None else lambda: str(self.trouble)
        asking: Any = self.asking
        diagnosis = Diagnosis(
            self.resources,
            self.feed,
            asking,
            workers=2,
            gateway=gateway,
            logs=lambda: self.logs,
            series=lambda: self.series,
            layout=Layout(self.folder),
            controller=None if self.controller is None else lambda: str(self.controller),
        )
        services = []
        for number in range(count):
            service = core.Service()
            service.metadata.name = service.metadata.uid = f"s{number:04}.default"
            services.append(service)
        found = await diagnosis.diagnose(services)
        names = [each.name for each in found]
        assert len(names) == len(set(names))
        for each in found:
            if each.outcome in ("warn", "fail"):
                assert each.remedy, each
        return {each.name: each for each in found}


@pytest.fixture
def world(resources: Resources, tmp_path: Path) -> World:
    return World(resources, tmp_path)


async def test_a_cluster_that_works(world: World) -> None:
    world.series = {
        "gateway": {
            "octelium_tunnel_peers": 3,
            "octelium_tunnel_peers_live": 2,
            'octelium_tunnel_events_total{event="bad_source"}': 4,
            'octelium_tunnel_events_total{event="handshakes"}': 9,
            'octelium_tunnel_events_total{event="replay"}': 0,
        }
    }
    world.asking.probed = (
        Probed("wiki.default", "10.0.0.1:80", "ok", "HEAD / is answered with 200 in 2 ms"),
        Probed("demo.default", "", "skipped", "the Cluster answers, as configured"),
        Probed(RESOLVERS, "udp://10.0.0.2:53", "warn", "no answer within 3 s", "name others"),
    )
    parts = await world.parts(2)
    outcomes = {name: each.outcome for name, each in parts.items()}
    assert outcomes.pop("clock") in ("ok", "warn")
    assert outcomes.pop("disk") in ("ok", "warn")
    assert outcomes == {
        "control": "ok",
        "worker-0": "ok",
        "worker-1": "ok",
        "link": "ok",
        "gateway": "ok",
        "upstream of wiki.default (10.0.0.1:80)": "ok",
        "upstream of demo.default": "skipped",
        "resolver udp://10.0.0.2:53": "warn",
        "certificate of default": "ok",
        "store": "ok",
        "built-in objects": "ok",
        "logs": "ok",
    }
    assert parts["gateway"].detail == (
        "traffic flows; 2 of 3 connected Sessions have a session of WireGuard; 9 handshakes; "
        "dropped: bad_source 4"
    )
    assert world.asking.asked == [["s0000.default", "s0001.default"]]
    assert world.asking.resolvers


async def test_workers(world: World) -> None:
    del world.asking.answers["worker-1"]
    world.asking.answers["worker-0"] = Answer(1, world.resources.revision - 2, "")
    parts = await world.parts()
    assert parts["worker-0"].outcome == "fail"
    assert "2 behind the store" in parts["worker-0"].detail
    assert parts["worker-1"].detail == "it does not answer"
    world.feed.followers = [("worker-0", 0)]
    parts = await world.parts()
    assert parts["workers"].detail == "1 of 2 follow the store"
    world.feed.followers = []
    parts = await world.parts()
    assert parts["upstreams"].outcome == parts["link"].outcome == "skipped"


async def test_a_worker_that_is_busy(world: World) -> None:
    world.asking.seconds = 0.9
    parts = await world.parts()
    assert parts["worker-0"].outcome == "warn"
    world.asking.probed = None
    parts = await world.parts()
    assert parts["upstreams"].detail == "worker-0 does not answer any more"


async def test_the_tunnel(world: World) -> None:
    world.trouble = "packets of clients do not come in by the engine"
    revision = world.resources.revision
    world.asking.answers["worker-1"] = Answer(1, revision, "no answer within 2 s")
    parts = await world.parts()
    assert parts["gateway"].detail == world.trouble
    assert parts["link"].outcome == "fail"
    world.trouble = None
    parts = await world.parts()
    assert parts["gateway"].outcome == "skipped"
    assert "link" not in parts
    assert not world.asking.resolvers


async def test_logs_that_cannot_be_written(world: World) -> None:
    world.logs = "database or disk is full"
    assert (await world.parts())["logs"].outcome == "fail"


async def test_more_services_than_are_asked(world: World) -> None:
    parts = await world.parts(MOST_SERVICES + 3)
    assert len(world.asking.asked[0]) == MOST_SERVICES
    assert parts["upstreams"].detail == "3 more Services were not asked"


async def test_an_edited_object_that_is_shipped_in_another_form_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.resources.transaction() as tx:
        for name in ("allow-all", "deny-all"):
            policy = tx.get(core.Policy, name=name)
            policy.spec.rules[0].name = "mine"
            tx.update(policy)
    shipped: list[Any] = [*builtin.policies()]
    shipped[0].spec.rules[0].name = "another"
    monkeypatch.setattr(builtin, "policies", lambda: shipped)
    assert (await world.parts())["built-in objects"].outcome == "ok"
    await reseed(world.resources)
    part = (await world.parts())["built-in Policy allow-all"]
    assert part.outcome == "warn"
    assert "ships another form" in part.detail
    assert "octops built-in Policy allow-all | octeliumctl diff -" in part.remedy
    assert "built-in Policy deny-all" not in await world.parts()


async def test_the_process_that_deploys_containers_is_asked_for_where_there_is_one(
    world: World,
) -> None:
    assert "controller" not in await world.parts()
    world.controller = ""
    assert (await world.parts())["controller"].outcome == "ok"
    world.controller = "pods: the API server cannot be reached"
    told = (await world.parts())["controller"]
    assert (told.outcome, told.detail) == ("fail", world.controller)
