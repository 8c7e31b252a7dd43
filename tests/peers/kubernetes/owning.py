"""Who controls an object, and conditions of workloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.store import now

if TYPE_CHECKING:
    from tests.peers.kubernetes.resources import Resource
    from tests.peers.kubernetes.store import Store

Object = dict[str, Any]


def reference(owner: Object) -> Object:
    """The reference to a controller."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned(store: Store, resource: Resource, owner: Object) -> list[Object]:
    """What an object controls."""
    uid = owner["metadata"]["uid"]
    return [
        one
        for one in store.of_owner(resource, uid)
        if any(
            ref["uid"] == uid and ref.get("controller")
            for ref in one["metadata"].get("ownerReferences") or ()
        )
    ]


def condition(
    status: Object, sort: str, state: str, reason: str, message: str, *, updates: bool = True
) -> None:
    """Set a condition; its time moves only with its state. `updates`: it also has the other."""
    conditions = [dict(one) for one in status.get("conditions", ())]
    known = next((one for one in conditions if one["type"] == sort), None)
    if known is None:
        known = {"type": sort, "lastTransitionTime": now()}
        conditions.append(known)
    if known.get("status") != state:
        known["lastTransitionTime"] = now()
    said = (known.get("status"), known.get("reason"), known.get("message"))
    if updates and said != (state, reason, message):
        known["lastUpdateTime"] = now()
    known.update(status=state, reason=reason, message=message)
    status["conditions"] = conditions


def drop_condition(status: Object, sort: str) -> None:
    """Without a condition."""
    left = [one for one in status.get("conditions", ()) if one["type"] != sort]
    if "conditions" in status:
        status["conditions"] = left


class Seen:
    """What a controller has looked at: objects in a state that need no second look."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[object, ...]] = {}

    def fresh(self, owner: Object, *others: object) -> bool:
        """Whether the object or the others differ from the last time."""
        meta = owner["metadata"]
        state = (meta["resourceVersion"], *others)
        known = self._states.get(meta["uid"])
        self._states[meta["uid"]] = state
        return known != state


def versions(given: list[Object]) -> tuple[str, ...]:
    """Of objects."""
    return tuple(one["metadata"]["resourceVersion"] for one in given)


def ready(pod: Object) -> bool:
    """Whether a Pod is ready."""
    return any(
        one["type"] == "Ready" and one["status"] == "True"
        for one in pod["status"].get("conditions", ())
    )
