"""The emulated garbage collector: dependents of owners that are gone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.verbs import Write

if TYPE_CHECKING:
    from tests.peers.kubernetes.resources import Resource
    from tests.peers.kubernetes.verbs import Verbs

Object = dict[str, Any]


def collect(verbs: Verbs) -> None:
    """One pass."""
    everything = list(verbs.store.objects.values())
    uids = {given["metadata"]["uid"]: given for _, given in everything}
    dependents: dict[str, list[tuple[Resource, Object]]] = {}
    for resource, given in everything:
        references = given["metadata"].get("ownerReferences") or ()
        for one in references:
            dependents.setdefault(one["uid"], []).append((resource, given))
        if references and all(one["uid"] not in uids for one in references):
            _delete(verbs, resource, given)
    for resource, given in everything:
        finalizers = given["metadata"].get("finalizers") or ()
        below = dependents.get(given["metadata"]["uid"], [])
        if "foregroundDeletion" in finalizers:
            for kind, one in below:
                _delete(verbs, kind, one)
            if not below:
                _finish(verbs, resource, given, "foregroundDeletion")
        elif "orphan" in finalizers:
            for kind, one in below:
                _orphan(verbs, kind, one, given["metadata"]["uid"])
            _finish(verbs, resource, given, "orphan")


def _place(given: Object) -> tuple[str, str]:
    return given["metadata"].get("namespace", ""), given["metadata"]["name"]


def _delete(verbs: Verbs, resource: Resource, given: Object) -> None:
    namespace, name = _place(given)
    live = verbs.store.get(resource, namespace, name)
    if live is not None and "deletionTimestamp" not in live["metadata"]:
        verbs.delete(resource, namespace, name, {}, dry=False)


def _finish(verbs: Verbs, resource: Resource, given: Object, finalizer: str) -> None:
    namespace, name = _place(given)
    live = verbs.store.get(resource, namespace, name)
    if live is None:
        return
    made = copy.deepcopy(live)
    left = [one for one in made["metadata"].get("finalizers", ()) if one != finalizer]
    made["metadata"]["finalizers"] = left
    if left:
        verbs._replace(resource, live, made, Write("kube-controller-manager"))
    else:
        verbs.store.remove(resource, live)


def _orphan(verbs: Verbs, resource: Resource, given: Object, owner: str) -> None:
    made = copy.deepcopy(given)
    left = [one for one in made["metadata"]["ownerReferences"] if one["uid"] != owner]
    if left:
        made["metadata"]["ownerReferences"] = left
    else:
        del made["metadata"]["ownerReferences"]
    verbs._replace(resource, given, made, Write("kube-controller-manager"))
