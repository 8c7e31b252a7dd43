"""A Cluster, a router, and two hosts behind it that are connected."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from octelium.client.tunnel import control
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import DOMAIN, wait_for
from tests.e2e.documents import credential, policy, rule, workload
from tests.e2e.test_connect import ReachableCluster, World, connected

if TYPE_CHECKING:
    from tests.e2e.cluster import Api
    from tests.peers.namespaces import Namespace
    from tests.peers.router import Router

KEEPALIVE = 2
ALLOWED = "allowed"
USERS = ("alice", "carol", "dave", "erin")


@dataclass
class Household(World):
    """A Cluster, a router, and two hosts behind it."""

    engine: str
    way: Router
    second: Namespace
    api: Api

    def environment(self, user: str) -> dict[str, str]:
        return {**super().environment(user), "OCTELIUM_KEEPALIVE": str(KEEPALIVE)}

    def address(self, service: str) -> str:
        # The control process may just be on its way back.
        found = wait_for(lambda: self.api.core("GetService", meta.GetOptions(name=service)))
        return str(found.status.addresses[0].dual_stack_ip.ipv4)

    def status(self, user: str = "alice") -> dict[str, Any]:
        """What a running `octelium connect` tells of itself, as other commands ask it."""
        found = control.ask(control.Place(self.folder / user, DOMAIN), "status")
        assert found is not None
        return found

    def settle(self) -> None:
        """Wait until alice's stream of the control process is back."""
        wait_for(lambda: self.status()["state"] == "connected", 60)

    def joined(self, user: str, *words: str) -> Any:
        """A running `octelium connect` with a device of its host."""
        return connected(self, user, "--implementation", "tun", "--engine", self.engine, *words)

    def at(self, host: Namespace, name: str) -> Household:
        """The same for another host, with a Session of its own."""
        return replace(self, client=host, folder=self.folder / name)


def begin(cluster: ReachableCluster) -> dict[str, str]:
    """Start it with Services and Users; the Users' tokens."""
    cluster.start()
    cluster.login()
    cluster.apply(
        policy(ALLOWED, rule("ALLOW")),
        policy("erin-may", rule("ALLOW", "ctx.user.metadata.name == 'erin'")),
        *(workload(name) for name in USERS),
        *(credential(f"{name}-token", name, "AUTH_TOKEN", sessionType="CLIENT") for name in USERS),
        _service("web", "HTTP", {"url": "http://127.0.0.1:8000"}, 80),
        _service("raw", "TCP", {"url": "tcp://127.0.0.1:8001"}, 7),
        _service("erins", "HTTP", {"url": "http://127.0.0.1:8000"}, 80, "erin-may"),
        _service("erins-raw", "TCP", {"url": "tcp://127.0.0.1:8001"}, 7, "erin-may"),
        _service("home", "HTTP", {"url": "http://127.0.0.1:9000", "user": "alice"}, 80),
    )
    tokens = {}
    for name in USERS:
        words = ("create", "credential", f"{name}-token", "--rotate", "-o", "json")
        made = json.loads(cluster.ctl(*words))
        tokens[name] = str(made["authenticationToken"]["authenticationToken"])
    return tokens


def _service(
    name: str, mode: str, upstream: dict[str, str], port: int, rights: str = ALLOWED
) -> dict[str, Any]:
    authorization = {"policies": [rights]}
    spec = {"mode": mode, "port": port, "authorization": authorization}
    config = {"upstream": upstream}
    return {"kind": "Service", "metadata": {"name": name}, "spec": {**spec, "config": config}}
