"""Objects as tables, which is how kubectl asks for what it prints.

Kubernetes documentation, "Receiving resources as Tables".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peers.kubernetes.resources import Resource

Object = dict[str, Any]
Cell = str | int
Column = tuple[str, str, int, "Callable[[Object], Cell]"]
"""Name, type, priority (1: only with -o wide), value."""


def table(resource: Resource, given: list[Object], meta: dict[str, Any], include: str) -> Object:
    """A Table of objects. `include` is the query `includeObject`."""
    columns = [
        _NAME,
        *_COLUMNS.get(resource.kind, ()),
        *([] if resource.kind in _OWN_AGE else [_AGE]),
    ]
    columns = _ordered(resource.kind, columns)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": [
            {
                "name": name,
                "type": sort,
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": priority,
            }
            for name, sort, priority, _ in columns
        ],
        "rows": [
            {"cells": [value(one) for *_, value in columns], "object": _included(one, include)}
            for one in given
        ],
    }


def _included(given: Object, include: str) -> Object | None:
    if include == "Object":
        return given
    if include == "None":
        return None
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": given["metadata"],
    }


def _ordered(kind: str, columns: list[Column]) -> list[Column]:
    """Age stands before what only the wide form has."""
    narrow = [one for one in columns if one[2] == 0]
    return narrow + [one for one in columns if one[2] > 0] if kind not in _OWN_AGE else columns


def _age(given: Object) -> str:
    made = given["metadata"].get("creationTimestamp")
    if not made:
        return "<unknown>"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(made)).total_seconds())
    for size, unit, most in ((1, "s", 120), (60, "m", 180), (3600, "h", 48)):
        if seconds // size < most:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"


def _number(*path: str) -> Callable[[Object], Cell]:
    def read(given: Any) -> Cell:
        for name in path:
            given = (given or {}).get(name)
        return int(given or 0)

    return read


def _text(*path: str) -> Callable[[Object], Cell]:
    def read(given: Any) -> Cell:
        for name in path:
            given = (given or {}).get(name)
        return "<none>" if given in (None, "") else str(given)

    return read


def _ready(given: Object) -> str:
    return f"{given['status'].get('readyReplicas', 0)}/{given['spec'].get('replicas', 0)}"


def _containers(field: str, *above: str) -> Callable[[Object], Cell]:
    def read(given: Any) -> Cell:
        for name in above:
            given = given[name]
        return ",".join(one.get(field, "") for one in given.get("containers", ()))

    return read


def _selector(given: Object) -> str:
    labels = (given["spec"].get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"


def _pod_ready(given: Object) -> str:
    states = given["status"].get("containerStatuses", ())
    return f"{sum(one['ready'] for one in states)}/{len(given['spec']['containers'])}"


def _pod_status(given: Object) -> str:
    reason = str(given["status"].get("reason") or given["status"].get("phase", ""))
    for one in given["status"].get("containerStatuses", ()):
        waiting = one.get("state", {}).get("waiting")
        if waiting and waiting.get("reason"):
            reason = waiting["reason"]
    return "Terminating" if "deletionTimestamp" in given["metadata"] else reason


def _restarts(given: Object) -> str:
    return str(sum(one["restartCount"] for one in given["status"].get("containerStatuses", ())))


def _service_ports(given: Object) -> str:
    ports = given["spec"].get("ports", ())
    return (
        ",".join(
            f"{one['port']}:{one['nodePort']}/{one['protocol']}"
            if one.get("nodePort")
            else f"{one['port']}/{one['protocol']}"
            for one in ports
        )
        or "<none>"
    )


def _service_selector(given: Object) -> str:
    labels = given["spec"].get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"


def _pod_selector(given: Object) -> str:
    labels = given["spec"]["podSelector"].get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"


def _capacity(given: Object) -> str:
    return str((given["status"].get("capacity") or {}).get("storage", ""))


def _access_modes(given: Object) -> str:
    modes = given["spec"].get("accessModes", ())
    return ",".join("".join(letter for letter in mode if letter.isupper()) for mode in modes)


def _involved(given: Object) -> str:
    about = given["involvedObject"]
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


_NAME: Column = ("Name", "string", 0, lambda given: str(given["metadata"]["name"]))
_AGE: Column = ("Age", "string", 0, _age)
_OWN_AGE = frozenset({"Event", "Role"})
_WIDE_WORKLOAD: list[Column] = [
    ("Containers", "string", 1, _containers("name", "spec", "template", "spec")),
    ("Images", "string", 1, _containers("image", "spec", "template", "spec")),
]
_COLUMNS: dict[str, list[Column]] = {
    "Namespace": [("Status", "string", 0, _text("status", "phase"))],
    "Deployment": [
        ("Ready", "string", 0, _ready),
        ("Up-to-date", "string", 0, _number("status", "updatedReplicas")),
        ("Available", "string", 0, _number("status", "availableReplicas")),
        *_WIDE_WORKLOAD,
        ("Selector", "string", 1, _selector),
    ],
    "ReplicaSet": [
        ("Desired", "integer", 0, _number("spec", "replicas")),
        ("Current", "integer", 0, _number("status", "replicas")),
        ("Ready", "integer", 0, _number("status", "readyReplicas")),
        *_WIDE_WORKLOAD,
        ("Selector", "string", 1, _selector),
    ],
    "StatefulSet": [("Ready", "string", 0, _ready), *_WIDE_WORKLOAD],
    "Pod": [
        ("Ready", "string", 0, _pod_ready),
        ("Status", "string", 0, _pod_status),
        ("Restarts", "string", 0, _restarts),
        ("IP", "string", 1, _text("status", "podIP")),
        ("Node", "string", 1, _text("spec", "nodeName")),
        ("Nominated Node", "string", 1, _text("status", "nominatedNodeName")),
        ("Readiness Gates", "string", 1, lambda _: "<none>"),
    ],
    "Service": [
        ("Type", "string", 0, _text("spec", "type")),
        ("Cluster-IP", "string", 0, _text("spec", "clusterIP")),
        ("External-IP", "string", 0, lambda _: "<none>"),
        ("Port(s)", "string", 0, _service_ports),
        ("Selector", "string", 1, _service_selector),
    ],
    "Secret": [
        ("Type", "string", 0, _text("type")),
        ("Data", "string", 0, lambda given: len(given.get("data") or {})),
    ],
    "ConfigMap": [
        (
            "Data",
            "string",
            0,
            lambda given: len(given.get("data") or {}) + len(given.get("binaryData") or {}),
        )
    ],
    "ServiceAccount": [
        ("Secrets", "string", 0, lambda given: len(given.get("secrets") or ()))
    ],
    "NetworkPolicy": [("Pod-Selector", "string", 0, _pod_selector)],
    "Lease": [("Holder", "string", 0, _text("spec", "holderIdentity"))],
    "Role": [
        (
            "Created At",
            "date",
            0,
            lambda given: str(given["metadata"].get("creationTimestamp", "")),
        )
    ],
    "RoleBinding": [
        (
            "Role",
            "string",
            0,
            lambda given: f"{given['roleRef']['kind']}/{given['roleRef']['name']}",
        )
    ],
    "PersistentVolumeClaim": [
        ("Status", "string", 0, _text("status", "phase")),
        ("Volume", "string", 0, lambda given: str(given["spec"].get("volumeName", ""))),
        ("Capacity", "string", 0, _capacity),
        ("Access Modes", "string", 0, _access_modes),
        ("StorageClass", "string", 0, lambda given: str(given["spec"].get("storageClassName", ""))),
    ],
    "Event": [
        ("Last Seen", "string", 0, _age),
        ("Type", "string", 0, _text("type")),
        ("Reason", "string", 0, _text("reason")),
        ("Object", "string", 0, _involved),
        ("Message", "string", 0, lambda given: str(given.get("message", "")).strip()),
    ],
}  # fmt: skip
