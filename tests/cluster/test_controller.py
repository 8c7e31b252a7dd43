from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from octelium.cluster.containers import Containers
from octelium.cluster.controller import Deployer, serve
from octelium.cluster.settings import Address
from octelium.cluster.sockets import listen_tcp
from octelium.controller.controller import Pace
from octelium.controller.kube.account import Account
from octelium.controller.kube.api import Api
from octelium.controller.objects.names import CLUSTER_LABEL
from octelium.controller.objects.settings import Settings
from octelium.controller.wire import TOPIC
from octelium.http.tasks import spawn
from octelium.replica.committed import CommittedRevision
from octelium.replica.feed import CONTROLLER, FeedServer
from octelium.schema.pb import container_v1_pb2 as stored
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from tests.peers.kubernetes import KubernetesApi, Rule
from tests.peers.ports import free_port
from tests.replica.samples import contained, listening, named, put, secret, socket_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

NAMESPACE = "octelium-upstreams"
PACE = Pace(duration=60.0, deadline=50.0, retry=0.05, every=0.0, events_every=0.0)


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesApi]:
    with KubernetesApi() as made:
        made.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield made


@pytest.fixture
def kubernetes(server: KubernetesApi) -> Iterator[KubernetesApi]:
    """The server, with nothing in it that a test before has left."""
    yield server
    for kind in ("Deployment", "Service", "NetworkPolicy", "Secret", "Lease"):
        for found in server.all(kind, NAMESPACE):
            server.delete(kind, found["metadata"]["name"], NAMESPACE)


@pytest.fixture
def api(server: KubernetesApi) -> Api:
    account = server.account(NAMESPACE, "controller")
    server.access.rules.append(Rule(account.user, NAMESPACE, ("*",), ("*",), ("*",)))
    return Api(Account.mounted(account.folder, account.environment), NAMESPACE, timeout=60.0)


@pytest.fixture
def place() -> Iterator[Path]:
    with socket_path() as path:
        yield path


class Control:
    """A store, and control's end of the controller's socket."""

    def __init__(self, resources: Resources, place: Path) -> None:
        self.resources = resources
        place.unlink(missing_ok=True)
        self._committed = CommittedRevision.create()
        self.containers = Containers(resources, foreign=tuple, every=0.0)
        self.feed = FeedServer(resources, listening(place), self._committed, roles=(CONTROLLER,))
        self.feed.on_reader(TOPIC, self.containers.receive)
        self.containers.start()
        self.feed.start()

    async def end(self) -> None:
        self.feed.close()
        await self.containers.stop()
        self._committed.close()

    def state(self, uid: str) -> stored.ContainerState | None:
        return self.resources.find(stored.ContainerState, name=uid)

    def is_ready(self, uid: str) -> bool:
        state = self.state(uid)
        return state is not None and all(one.ready for one in state.status.containers)


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Callable[[str], Any]]:
    """Makes stores of Clusters, by name."""
    made: list[Resources] = []

    async def make(name: str) -> Resources:
        resources = Resources(await SqliteStore.open(tmp_path / name), Vault([b"k" * 32]))
        await resources.load()
        await put(resources, core.ClusterConfig(metadata=named("default")))
        made.append(resources)
        return resources

    yield make
    for resources in made:
        await resources.close()


@contextlib.asynccontextmanager
async def running(deployer: Deployer) -> AsyncIterator[None]:
    task = spawn(deployer.run(), name="deployer")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do."""
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


def deployed(kubernetes: KubernetesApi) -> dict[str, str]:
    """The Clusters of the Deployments, by the names of the Services that they are for."""
    return {
        each["metadata"]["annotations"]["octelium.com/svc"]: each["metadata"]["labels"][
            CLUSTER_LABEL
        ]
        for each in kubernetes.all("Deployment", NAMESPACE)
    }


def asking(name: str, *secrets: str) -> core.Service:
    service = contained(name, *secrets)
    service.spec.config.upstream.container.port = 8080
    return service


def deployer(place: Path, api: Api) -> Deployer:
    return Deployer(place, api, "here", Settings(), pace=PACE, heartbeat=0.01)


async def test_it_waits_for_the_cluster_deploys_and_tells(
    kubernetes: KubernetesApi, api: Api, place: Path, stores: Callable[[str], Any]
) -> None:
    resources: Resources = await stores("one")
    uid, *_ = await put(
        resources, asking("web.default", "token"), secret("token"), secret("other", "hidden")
    )
    made = deployer(place, api)
    assert made.cluster_trouble() == "the Cluster is not connected"
    async with running(made):
        control = Control(resources, place)
        await until(lambda: control.is_ready(uid))
        assert deployed(kubernetes) == {
            "web.default": resources.get(core.ClusterConfig, name="default").metadata.uid
        }
        (held,) = [each["data"] for each in kubernetes.all("Secret", NAMESPACE)]
        assert "aHVudGVyMg==" in held.values()
        assert (made.cluster_trouble(), made.kubernetes_trouble()) == ("", "")
        assert made.series()["octelium_containers_wanted"] == 1
        assert control.containers.trouble() == ""
        async with resources.transaction() as tx:
            tx.delete("Service", uid)
        await until(lambda: not deployed(kubernetes))
        await until(lambda: control.state(uid) is None)
        await control.end()
        await until(lambda: made.cluster_trouble() == "the Cluster is not connected")
    (lease,) = kubernetes.all("Lease", NAMESPACE)
    assert not lease["spec"].get("holderIdentity")


async def test_a_control_that_was_away_is_told_everything_anew(
    kubernetes: KubernetesApi, api: Api, place: Path, stores: Callable[[str], Any]
) -> None:
    resources: Resources = await stores("one")
    (uid,) = await put(resources, asking("web.default"))
    control = Control(resources, place)
    async with running(deployer(place, api)):
        await until(lambda: control.is_ready(uid))
        await control.end()
        async with resources.transaction() as tx:
            tx.delete("ContainerState", tx.get(stored.ContainerState, name=uid).metadata.uid)
            tx.create(asking("api.default"))
        control = Control(resources, place)
        await until(lambda: control.is_ready(uid))
        await until(lambda: deployed(kubernetes).keys() == {"web.default", "api.default"})
        await control.end()


async def test_the_containers_of_another_cluster_are_left_alone(
    kubernetes: KubernetesApi, api: Api, place: Path, stores: Callable[[str], Any]
) -> None:
    """Such as that of a data directory that was lost, and is another by now."""
    one: Resources = await stores("one")
    other: Resources = await stores("other")
    (uid,) = await put(one, asking("web.default"))
    (another,) = await put(other, asking("api.default"))
    control = Control(one, place)
    async with running(deployer(place, api)):
        await until(lambda: control.is_ready(uid))
        await control.end()
        control = Control(other, place)
        await until(lambda: control.is_ready(another))
        clusters = [each.get(core.ClusterConfig, name="default") for each in (one, other)]
        assert deployed(kubernetes) == {
            "web.default": clusters[0].metadata.uid,
            "api.default": clusters[1].metadata.uid,
        }
        await control.end()


async def test_what_there_was_no_room_for_is_told_later(
    kubernetes: KubernetesApi,
    api: Api,
    place: Path,
    stores: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert deployed(kubernetes) == {}
    resources: Resources = await stores("one")
    (uid,) = await put(resources, asking("web.default"))
    control = Control(resources, place)
    made = deployer(place, api)
    send, refused = made._follower.send, asyncio.Event()

    def full(topic: str, payload: bytes) -> bool:
        if b"service_uid" not in payload:
            return send(topic, payload)
        refused.set()
        return False

    monkeypatch.setattr(made._follower, "send", full)
    async with running(made):
        await asyncio.wait_for(refused.wait(), 120)
        assert control.state(uid) is None
        monkeypatch.setattr(made._follower, "send", send)
        await until(lambda: control.is_ready(uid))
        await control.end()


async def test_an_api_server_that_is_away_is_told_of(
    kubernetes: KubernetesApi, api: Api, place: Path, stores: Callable[[str], Any]
) -> None:
    resources: Resources = await stores("one")
    control = Control(resources, place)
    kubernetes.stop()
    made = deployer(place, api)
    stopped, port = asyncio.Event(), free_port()
    listeners = listen_tcp(Address("127.0.0.1", port), "--health")
    serving = spawn(serve(made, listeners, stopped), name="serve")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

        async def checks() -> dict[str, str]:
            answer = await http.get("/readyz")
            assert answer.status_code == (200 if answer.json()["ready"] else 503)
            told: dict[str, str] = answer.json()["checks"]
            return told

        try:
            async with asyncio.timeout(120):
                while "cannot be reached" not in (await checks())["kubernetes"]:
                    await asyncio.sleep(0.01)
            assert (await http.get("/healthz")).status_code == 200
            await until(lambda: "cannot be reached" in control.containers.trouble())
        finally:
            kubernetes.start()
        async with asyncio.timeout(120):
            while await checks() != {"cluster": "ok", "kubernetes": "ok"}:
                await asyncio.sleep(0.01)
        text = (await http.get("/metrics")).text
        assert 'octelium_controller_leading{process="controller"} 1' in text
    stopped.set()
    await serving
    await control.end()
