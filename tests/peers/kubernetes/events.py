"""Events about objects, counted as the real ones are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.resources import of_kind
from tests.peers.kubernetes.store import now
from tests.peers.kubernetes.verbs import Write

if TYPE_CHECKING:
    from tests.peers.kubernetes.verbs import Verbs

Object = dict[str, Any]


def record(
    verbs: Verbs,
    about: Object,
    sort: str,
    reason: str,
    message: str,
    by: str,
    *,
    again: bool = True,
) -> None:
    """An event; the same once more counts up, unless `again` is false."""
    meta = about["metadata"]
    text = f"{meta['uid']}/{reason}/{message}/{by}"
    name = f"{meta['name'][:200]}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    resource, namespace = of_kind("Event"), meta.get("namespace", "default")
    known = verbs.store.get(resource, namespace, name)
    if known is not None:
        if again:
            verbs.store.put(resource, known | {"count": known["count"] + 1, "lastTimestamp": now()})
        return
    given = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": meta["name"],
            "namespace": namespace,
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
        },
        "type": sort,
        "reason": reason,
        "message": message,
        "source": {"component": by},
        "reportingComponent": by,
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "count": 1,
    }
    verbs.create(resource, namespace, given, Write(by))
