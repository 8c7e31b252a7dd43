"""A namespace of an API server, emulated or real, and controllers that keep containers in it.

The real one is `kube-apiserver`, with `etcd`, where the environment variables KUBE_APISERVER and
ETCD name the programs. Nobody makes Pods there: what needs them runs with the emulated one only.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from octelium.controller.controller import Controller, Pace
from octelium.controller.kube.account import Account
from octelium.controller.kube.api import Api
from octelium.controller.kube.errors import KubeError
from octelium.controller.kube.kinds import DEPLOYMENT, NETWORK_POLICY, OWNED, SERVICE, Kind
from octelium.controller.managed import Managed, Opened
from octelium.controller.objects.desired import desired
from octelium.controller.objects.settings import Settings
from octelium.http.tasks import spawn
from octelium.schema.containers import MAX_CONTAINERS
from octelium.schema.pb import core_v1_pb2 as core
from tests.peers.kubernetes import KubernetesApi
from tests.peers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.controller.managed import Key
    from octelium.controller.objects.outcome import Desired
    from octelium.controller.status import ContainerStatus

CLUSTER = "c1"
MARK = "octelium.com/applied"
"""The annotation that says what an object was made of."""
LIMIT = 120.0
"""Seconds after which a state that is waited for does not come any more."""
PACE = Pace(duration=60.0, deadline=50.0, retry=0.1, every=0.01, events_every=0.05)
"""No machine is so slow that a Lease of this length runs out; nobody waits for one to do so."""
RULES: list[dict[str, Any]] = [
    {
        "apiGroups": ["apps"],
        "resources": ["deployments"],
        "verbs": ["create", "delete", "get", "list", "patch", "watch"],
    },
    {
        "apiGroups": [""],
        "resources": ["secrets", "services"],
        "verbs": ["create", "delete", "get", "list", "patch", "watch"],
    },
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["networkpolicies"],
        "verbs": ["create", "delete", "get", "list", "patch", "watch"],
    },
    {"apiGroups": [""], "resources": ["events", "pods"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "update"],
    },
]
"""The rights of the controller: exactly these."""
_NUMBER = itertools.count()
Written = tuple[str, str, str]
"""Verb, plural of the kind, name."""


class Server:
    """An API server that several namespaces share."""

    real = False

    def __init__(self) -> None:
        self.kubernetes = KubernetesApi(history=5000)

    def start(self) -> None:
        """Answer, also again."""
        self.kubernetes.start()

    def stop(self) -> None:
        """Be away."""
        self.kubernetes.stop()

    def close(self) -> None:
        """End for good."""
        self.kubernetes.__exit__(None, None, None)

    def admin(self, namespace: str) -> Api:
        """With all rights."""
        account = self._account(self.kubernetes.admin_token, namespace)
        return Api(account, namespace, timeout=LIMIT)

    def controller(self, namespace: str) -> Account:
        """The controller's account in a namespace."""
        account = self.kubernetes.account(namespace, "octelium-controller")
        return Account.mounted(account.folder, account.environment)

    def written(self, namespace: str) -> list[Written]:
        """What the controllers of a namespace wrote, but for the Lease."""
        return [
            ("patch" if one.verb == "apply" else one.verb, one.resource.partition(".")[0], one.name)
            for one in self.kubernetes.faults.writes(namespace=namespace)
            if one.user.startswith("system:serviceaccount:")
            and not one.resource.startswith("leases")
        ]

    def forget(self, namespace: str) -> None:
        """Begin to count anew."""
        asked = self.kubernetes.faults.asked
        asked[:] = [one for one in asked if one.namespace != namespace]

    def _account(self, token: str, name: str) -> Account:
        path = self.kubernetes.folder / f"token-{name}"
        path.write_text(token)
        return Account(self.kubernetes.url, self.kubernetes.ca, path)


class Counting(Api):
    """Remembers what it wrote, where the server does not tell."""

    log: dict[str, list[Written]]

    async def _call(self, method: str, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if method != "GET" and "/leases" not in path:
            *_, plural, name = path.split("/")
            self.log.setdefault(self.namespace, []).append((method.lower(), plural, name))
        return await super()._call(method, path, *args, **kwargs)


class RealServer(Server):
    """`kube-apiserver` with an `etcd`, on loopback."""

    real = True

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kube-apiserver-"))
        self.log: dict[str, list[Written]] = {}
        self._port, etcd, peers = free_port(), free_port(), free_port()
        self._store = f"http://127.0.0.1:{etcd}"
        key = self.folder / "key"
        subprocess.run(
            ["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True
        )
        (self.folder / "tokens").write_text('admin,admin,1,"system:masters"\nctl,controller,2\n')
        self._etcd = self._run(
            os.environ["ETCD"],
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._store}",
            f"--advertise-client-urls={self._store}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-cluster=default=http://127.0.0.1:{peers}",
        )
        self._api: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Answer, also again."""
        self._api = self._run(
            os.environ["KUBE_APISERVER"],
            f"--etcd-servers={self._store}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self.folder / 'certs'}",
            f"--service-account-key-file={self.folder / 'key'}",
            f"--service-account-signing-key-file={self.folder / 'key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={self.folder / 'tokens'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
        )
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        began = time.monotonic()
        while time.monotonic() < began + LIMIT:
            request = urllib.request.Request(
                f"https://127.0.0.1:{self._port}/readyz", headers={"Authorization": "Bearer admin"}
            )
            with contextlib.suppress(OSError):
                urllib.request.urlopen(request, context=trusting).close()
                return
            time.sleep(0.1)
        raise TimeoutError("kube-apiserver does not start")

    def stop(self) -> None:
        """Be away."""
        if self._api is not None:
            self._api.kill()
            self._api.wait()
            self._api = None

    def close(self) -> None:
        """End for good."""
        self.stop()
        self._etcd.kill()
        self._etcd.wait()
        shutil.rmtree(self.folder)

    def admin(self, namespace: str) -> Api:
        """With all rights."""
        return Api(self._as("admin"), namespace, timeout=LIMIT)

    def controller(self, namespace: str) -> Account:
        """The controller's account in a namespace."""
        return self._as("ctl")

    def written(self, namespace: str) -> list[Written]:
        """What the controllers of a namespace wrote, but for the Lease."""
        return self.log.get(namespace, [])

    def forget(self, namespace: str) -> None:
        """Begin to count anew."""
        self.log.pop(namespace, None)

    def _as(self, token: str) -> Account:
        path = self.folder / f"token-{token}"
        path.write_text(token)
        return Account(
            f"https://127.0.0.1:{self._port}", self.folder / "certs" / "apiserver.crt", path
        )

    def _run(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder)


def managed(number: int, image: str = "nginx", **more: Any) -> Managed:
    """A container of a Service."""
    secrets = {one.name: one for one in more.pop("secrets", ())}
    container = core.ServiceSpecConfigUpstreamContainer(image=image, port=8080, **more)
    return Managed(f"uid-{number}", f"web-{number}.default", "", "TCP", container, secrets)


def with_secret(number: int, name: str, data: bytes) -> Managed:
    """A container with an environment variable from a Secret of the Cluster."""
    variable = core.ServiceSpecConfigUpstreamContainerEnv(name="TOKEN", from_secret=name)
    return managed(number, env=[variable], secrets=[Opened(f"s-{name}", name, data)])


class World:
    """One namespace, what is wanted in it, and what was told of it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.namespace = f"ns-{next(_NUMBER)}"
        self.settings = Settings(namespace=self.namespace)
        self.wants: dict[Key, Managed] = {}
        self._marked: dict[Key, tuple[Managed, dict[tuple[str, str], str]]] = {}
        self.complete = True
        self.told: dict[Key, ContainerStatus] = {}
        self.telling: list[tuple[str, Sequence[ContainerStatus]]] = []
        self.running: dict[str, tuple[Controller, asyncio.Task[None], Api]] = {}
        self.admin = server.admin(self.namespace)

    async def __aenter__(self) -> Self:
        await self._post(
            "/api/v1/namespaces",
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": self.namespace,
                    "labels": {"pod-security.kubernetes.io/enforce": "baseline"},
                },
            },
        )
        await self.allow(RULES)
        subjects = [
            {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "controller"},
            {
                "kind": "ServiceAccount",
                "name": "octelium-controller",
                "namespace": self.namespace,
            },
        ]
        await self._post(
            f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}/rolebindings",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "controller"},
                "subjects": subjects,
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Role",
                    "name": "controller",
                },
            },
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in list(self.running):
            await self.end(name)
        with contextlib.suppress(KubeError):
            await self.admin._call("DELETE", f"/api/v1/namespaces/{self.namespace}")
        await self.admin.close()

    async def allow(self, rules: list[dict[str, Any]]) -> None:
        """Give the controller these rights and no others."""
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "controller"},
            "rules": rules,
        }
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}/roles"
        asked = {"fieldManager": "test", "force": "true"}
        form = "application/apply-patch+yaml"
        await self.admin._call("PATCH", f"{path}/controller", asked, role, form)

    async def _post(self, path: str, value: dict[str, Any]) -> None:
        await self.admin._call("POST", path, {}, value)

    def build(self, one: Managed) -> Desired:
        """The objects of a container."""
        return desired(one, CLUSTER, self.settings)

    def start(self, name: str = "one", pace: Pace = PACE, most: int = MAX_CONTAINERS) -> Controller:
        """Run one more controller."""
        account = self.server.controller(self.namespace)
        if isinstance(self.server, RealServer):
            api: Api = Counting(account, self.namespace)
            assert isinstance(api, Counting)
            api.log = self.server.log
        else:
            api = Api(account, self.namespace)

        def tell(states: Sequence[ContainerStatus]) -> None:
            self.telling.append((name, states))
            self.told.update({one.key: one for one in states})

        controller = Controller(
            api,
            CLUSTER,
            name,
            wants=lambda: self.wants,
            complete=lambda: self.complete,
            build=self.build,
            tell=tell,
            pace=pace,
            most=most,
        )
        task = spawn(controller.run(), name=f"controller {name}")
        self.running[name] = controller, task, api
        return controller

    async def end(self, name: str = "one") -> None:
        """End a controller as a signal does."""
        _, task, api = self.running.pop(name)
        task.cancel()
        await asyncio.wait([task])
        await api.close()

    def want(self, *containers: Managed) -> None:
        """Want these too, or otherwise than before."""
        for one in containers:
            self.wants[one.key] = one
        self._changed([one.key for one in containers])

    def drop(self, *containers: Managed) -> None:
        """Want these no more."""
        for one in containers:
            del self.wants[one.key]
        self._changed([one.key for one in containers])

    def _changed(self, keys: list[Key]) -> None:
        for controller, _, _ in self.running.values():
            controller.changed(keys)

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait for a state."""
        began = time.monotonic()
        while not condition():
            for _, task, _ in self.running.values():
                if task.done():
                    task.result()
            if time.monotonic() > began + LIMIT:
                raise TimeoutError(f"{what or 'it'} does not come about: {self.told}")
            await asyncio.sleep(0.01)

    async def settled(self) -> None:
        """Wait until what there is is what is wanted, and nothing is left to be done."""
        began = time.monotonic()
        wrong: list[str] = []
        while True:
            if self._idle():
                wrong = await self.differences()
                if not wrong and self._idle():
                    return
            if time.monotonic() > began + LIMIT:
                raise TimeoutError(f"it does not settle: {wrong[:5]}, {self.told}")
            await asyncio.sleep(0.02)

    def _idle(self) -> bool:
        return all(one.settled for one, _, _ in self.running.values())

    async def differences(self) -> list[str]:
        """What is not there, or should not be there."""
        wanted: dict[tuple[str, str], str] = {}
        for one in self.wants.values():
            wanted |= self._marks(one)
        found = {(kind.name, name): value for kind, name, value in await self.objects()}
        wrong = [f"{key} is missing" for key in wanted if key not in found]
        wrong += [f"{key} is too much" for key in found if key not in wanted]
        wrong += [
            f"{key} is another"
            for key, mark in wanted.items()
            if key in found and found[key]["metadata"]["annotations"].get(MARK) != mark
        ]
        return wrong

    def _marks(self, one: Managed) -> dict[tuple[str, str], str]:
        """The marks of a container's objects, made once for each that is wanted."""
        before = self._marked.get(one.key)
        if before is None or before[0] is not one:
            marks = {
                (value["kind"], value["metadata"]["name"]): value["metadata"]["annotations"][MARK]
                for value in self.build(one).objects
            }
            before = self._marked[one.key] = one, marks
        return before[1]

    async def objects(self, cluster: str = CLUSTER) -> list[tuple[Kind, str, dict[str, Any]]]:
        """All objects of a Cluster."""
        return [
            (kind, value["metadata"]["name"], value)
            for kind in OWNED
            for value in (await self.admin.list(kind, f"octelium.com/cluster={cluster}")).objects
        ]

    def written(self) -> Counter[Written]:
        """How often each object was written since the last question."""
        found = Counter(self.server.written(self.namespace))
        self.server.forget(self.namespace)
        return found

    def name(self, one: Managed) -> str:
        """The name of a container's objects."""
        return self.build(one).name

    def each(self, verb: str, *containers: Managed) -> Counter[Written]:
        """One write of each object that every container has."""
        return Counter(
            (verb, kind.plural, self.name(one))
            for one in containers
            for kind in (DEPLOYMENT, SERVICE, NETWORK_POLICY)
        )
