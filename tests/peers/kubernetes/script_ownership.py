"""Requests about who owns what, in corners of server-side apply."""

from __future__ import annotations

from tests.peers.kubernetes.conversation import MERGE, STRATEGIC, TABLE, Object, Step
from tests.peers.kubernetes.samples import APPS, CORE, apply, deployment, with_meta


def _config(**more: object) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o"}, **more}


def _containers(*containers: Object) -> Object:
    given = deployment("own")
    given["spec"]["template"]["spec"]["containers"] = list(containers)
    return given


def _one(name: str, **more: object) -> Object:
    return {"name": name, "image": "x:1", **more}


_MAP = CORE + "/configmaps/o"
_OWN = APPS + "/deployments/own"
_TWICE = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
_PORTS = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}]

OWNERSHIP: list[Step] = [
    # Maps: shared keys, keys that go, empty values and null.
    apply(_MAP, _config(data={"a": "1", "b": "2"}), "one"),
    apply(_MAP, _config(data={"a": "1", "c": "3"}), "two"),
    apply(_MAP, _config(data={"b": "2"}), "one"),
    apply(_MAP, _config(data={}), "two"),
    apply(_MAP, _config(), "one"),
    apply(_MAP, _config(data={"a": ""}), "one"),
    apply(_MAP, _config(data={"a": None}), "one"),
    apply(_MAP, _config(data={"a": "x", "b": "y"}), "two", force="true"),
    Step("PATCH", _MAP, {"data": {"b": "z"}}, MERGE, query={"fieldManager": "two"}),
    apply(_MAP, _config(data={"a": "x"}), "two"),
    Step("PATCH", _MAP, {"data": None}, MERGE, query={"fieldManager": "three"}),
    apply(_MAP, _config(data={"a": "x"}), "two", dryRun="All"),
    apply(_MAP, _config(data={"a": "x"}), "two"),
    # Sets and references.
    apply(_MAP, with_meta(_config(), finalizers=["a.example/x", "b.example/y"]), "one"),
    apply(_MAP, with_meta(_config(), finalizers=["b.example/y", "c.example/z"]), "two"),
    apply(_MAP, with_meta(_config(), finalizers=["a.example/x"]), "one"),
    apply(_MAP, _config(), "two"),
    apply(_MAP, with_meta(_config(), labels={"l": "1"}, annotations={"n": "1"}), "one"),
    apply(_MAP, with_meta(_config(), labels={"l": "2"}), "two"),
    apply(_MAP, with_meta(_config(), labels={}), "one"),
    Step("DELETE", _MAP),
    Step("PATCH", _MAP, {"metadata": {"finalizers": None}}, MERGE),
    Step("GET", _MAP),
    # Lists with keys: order, items of others, the same key twice.
    apply(_OWN, _containers(_one("a"), _one("b")), "one"),
    apply(_OWN, _containers(_one("c"), _one("b")), "two", force="true"),
    apply(_OWN, _containers(_one("b"), _one("a")), "one"),
    apply(_OWN, _containers(_one("a", ports=_PORTS), _one("b")), "one"),
    apply(_OWN, _containers(_one("a", env=_TWICE)), "one"),
    apply(_OWN, _containers(_one("a", env=_TWICE[:1], args=["x"]), _one("b")), "one"),
    apply(_OWN, _containers(_one("a", args=["y"]), _one("b")), "three"),
    apply(_OWN, _containers(_one("a", args=["x"]), _one("b")), "three"),
    apply(_OWN, _containers(_one("a"), _one("b")), "one"),
    apply(_OWN, _containers({"image": "x"}), "one"),
    Step(
        "PATCH",
        _OWN,
        {"spec": {"template": {"spec": {"containers": [{"name": "a", "args": None}]}}}},
        STRATEGIC,
        query={"fieldManager": "four"},
    ),
    apply(_OWN, _containers(_one("a", args=["x"]), _one("b")), "three"),
    # The status is no part of it, but for its own path.
    apply(_OWN, {**_containers(_one("a"), _one("b")), "status": {"replicas": 3}}, "one"),
    apply(
        _OWN + "/status",
        {"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 3}},
        "status-writer",
    ),
    Step("PATCH", _OWN + "/scale", {"spec": {"replicas": 4}}, MERGE),
    Step("GET", _OWN + "/scale"),
    Step("GET", CORE + "/configmaps", accept=TABLE),
    Step("GET", CORE + "/services", accept=TABLE),
    Step("DELETE", _OWN, query={"dryRun": "All"}),
    Step("DELETE", _OWN),
]
