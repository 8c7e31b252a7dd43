"""Who owns which field: `metadata.managedFields`.

Kubernetes documentation, "Server-Side Apply": managers, conflicts, transfer and removal.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes import merging, paths
from tests.peers.kubernetes.failure import Failure
from tests.peers.kubernetes.schema import type_of

if TYPE_CHECKING:
    from tests.peers.kubernetes.paths import Path, Paths
    from tests.peers.kubernetes.resources import Resource

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NOT_OWNED: list[Path] = [("f:apiVersion",), ("f:kind",)] + [
    ("f:metadata", f"f:{name}")
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ]
]
_ZERO: dict[str, dict[str, Any]] = {
    "Deployment": {"spec": {"strategy": {}, "template": {"spec": {"containers": None}}}},
    "ReplicaSet": {"spec": {"template": {"spec": {"containers": None}}}},
    "StatefulSet": {"spec": {"updateStrategy": {}, "template": {"spec": {"containers": None}}}},
    "Pod": {"spec": {"containers": None}},
    "NetworkPolicy": {"spec": {"podSelector": {}}},
    "PersistentVolumeClaim": {"spec": {"resources": {}}},
    "Role": {"rules": None},
    "Event": {
        "involvedObject": {},
        "source": {},
        "reportingComponent": "",
        "reportingInstance": "",
    },
}
"""What the empty structure of a kind already has, beside `spec` and `status`."""
_META_NOT_OWNED: list[Path] = [one for one in _NOT_OWNED if "deletion" not in one[-1]]


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, and by which operation."""

    name: str
    operation: str = "Update"
    subresource: str = ""
    time: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells managers apart."""
        return self.name, self.operation, self.subresource


Owners = dict[tuple[str, str, str], tuple[Manager, "Paths"]]


class Ownership:
    """Reads, changes and writes the managed fields of a kind."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.type = type_of(resource.group, resource.version, resource.kind)

    def read(self, given: dict[str, Any]) -> Owners:
        """Of an object."""
        found: Owners = {}
        for one in given.get("metadata", {}).get("managedFields") or ():
            who = Manager(
                one.get("manager", ""),
                one.get("operation", "Update"),
                one.get("subresource", ""),
                one.get("time", ""),
            )
            found[who.identity] = (who, paths.from_fields(one.get("fieldsV1", {})))
        return found

    def write(self, given: dict[str, Any], owners: Owners) -> dict[str, Any]:
        """The object with these managed fields."""
        entries = []
        for who, owned in sorted(
            owners.values(), key=lambda pair: (pair[0].operation, pair[0].time, pair[0].name)
        ):
            if not owned:
                continue
            entry = {
                "manager": who.name,
                "operation": who.operation,
                "apiVersion": self.resource.api_version,
                "time": who.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": paths.to_fields(owned),
            }
            entries.append(entry | ({"subresource": who.subresource} if who.subresource else {}))
        metadata = {k: v for k, v in given["metadata"].items() if k != "managedFields"}
        return given | {"metadata": metadata | ({"managedFields": entries} if entries else {})}

    def bare(self, given: dict[str, Any]) -> dict[str, Any]:
        """Without managed fields."""
        metadata = {k: v for k, v in given.get("metadata", {}).items() if k != "managedFields"}
        return given | {"metadata": metadata}

    def update(
        self, old: dict[str, Any], new: dict[str, Any], who: Manager, reset: list[Path]
    ) -> dict[str, Any]:
        """`new` with the owners that it has after `who` has written it by other means than apply.

        `reset` are the fields that this way of writing leaves as they are.
        """
        owners = self.read(new if "managedFields" in new.get("metadata", {}) else old)
        if old.get("metadata", {}).get("uid") and not self.read(old):
            return self.bare(new)
        before, after = self._owned(old), self._owned(new)
        if "uid" not in old["metadata"]:
            before = self._zero(after)
        changed = merging.difference(self.type, before, after)
        touched = changed.added | changed.modified | changed.removed
        for identity, (one, owned) in list(owners.items()):
            if identity != who.identity:
                owners[identity] = (one, owned - touched)
        mine = owners[who.identity][1] if who.identity in owners else frozenset()
        gained = paths.without((changed.added | changed.modified), reset + _META_NOT_OWNED)
        left = (mine - changed.removed) | gained
        if left == mine and who.identity in owners:
            return self.write(new, owners)
        if gained or left != mine:
            owners[who.identity] = (who, frozenset(left))
        return self.write(new, owners)

    def _zero(self, given: dict[str, Any]) -> dict[str, Any]:
        """An empty object of the kind."""
        zero: dict[str, Any] = {
            name: {} for name in ("metadata", "spec", "status", "roleRef") if name in given
        }
        zero = copy.deepcopy(zero | _ZERO.get(self.resource.kind, {}))
        template = zero.get("spec", {}).get("template")
        if template is not None:
            template["metadata"] = {}
            zero["spec"]["selector"] = None
        if self.resource.kind == "Service":
            zero["status"] = {"loadBalancer": {}}
        return zero

    def _owned(self, given: dict[str, Any]) -> dict[str, Any]:
        return copy.deepcopy(self.bare(given))

    def apply(
        self,
        live: dict[str, Any],
        wanted: dict[str, Any],
        who: Manager,
        reset: list[Path],
        *,
        force: bool,
        label: str,
    ) -> tuple[dict[str, Any], Owners]:
        """`live` with what `who` applies, and the owners after that. `label`: namespace/name.

        Raises `Failure` 409 where others own what would change, and 500 for fields that no type
        has.
        """
        owners = self.read(live)
        before = self.bare(live)
        if live.get("metadata", {}).get("uid") and not owners:
            first = Manager("before-first-apply", time=who.time)
            everything = paths.without(
                merging.difference(self.type, self._zero(before), before).added, _META_NOT_OWNED
            )
            owners[first.identity] = (first, everything)
        try:
            mine = merging.fields(self.type, wanted)
            after = merging.merged(self.type, before, wanted)
            last = owners[who.identity][1] if who.identity in owners else frozenset()
            after = self._pruned(after, mine, last, who, owners)
            changed = merging.difference(self.type, before, after)
        except merging.MistypedError as error:
            told = f"{self.resource.api_version}, Kind={self.resource.kind}"
            why = f"failed to create typed patch object ({label}; {told}): {error}"
            raise Failure(500, "", why) from None
        mine = paths.without(mine, reset + _META_NOT_OWNED)
        touched = changed.added | changed.modified
        conflicts = {
            identity: (one, owned & touched)
            for identity, (one, owned) in owners.items()
            if identity != who.identity and owned & touched
        }
        if conflicts and not force and not self._allowed(live, conflicts, who):
            raise _conflicts(self.resource, conflicts)
        for identity, (one, owned) in list(owners.items()):
            if identity != who.identity:
                owners[identity] = (one, owned - touched - changed.removed)
        owners[who.identity] = (
            owners[who.identity][0] if last == mine and who.identity in owners else who,
            frozenset(mine),
        )
        if who.name == "kubectl" and _LAST_APPLIED in (after["metadata"].get("annotations") or {}):
            after = copy.deepcopy(after)
            after["metadata"]["annotations"][_LAST_APPLIED] = _applied_text(wanted)
        return after, owners

    def _pruned(
        self, after: Any, mine: Paths, last: Paths, who: Manager, owners: Owners
    ) -> dict[str, Any]:
        """Without what `who` had applied before, applies no longer, and nobody else owns."""
        if not last:
            made: dict[str, Any] = after
            return made
        ensure = paths.with_parents
        everything = ensure(merging.fields(self.type, after), self.type)
        stripped = merging.pruned(self.type, after, ensure(last, self.type)) or {}
        kept = ensure(merging.fields(self.type, stripped), self.type)
        others: Paths = mine.union(
            *(owned for identity, (_, owned) in owners.items() if identity != who.identity)
        )
        gone = everything - (kept | ensure(others, self.type))
        stripped = merging.pruned(self.type, after, gone) or {}
        kept = ensure(merging.fields(self.type, stripped), self.type)
        dangling = (everything - kept) & ensure(last, self.type)
        result: dict[str, Any] = merging.pruned(self.type, after, dangling) or {}
        return result

    def _allowed(self, live: dict[str, Any], conflicts: Owners, who: Manager) -> bool:
        """Whether kubectl only takes over what it had applied itself from the client's side."""
        text = (live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
        if who.name != "kubectl" or not text:
            return False
        applied = json.loads(text)
        changed = merging.difference(self.type, applied, self.bare(live))
        own = merging.fields(self.type, applied) - (
            changed.added | changed.modified | changed.removed
        )
        return all(owned <= own for _, owned in conflicts.values())


def _applied_text(wanted: dict[str, Any]) -> str:
    meta = dict(wanted.get("metadata", {}))
    notes = {k: v for k, v in meta.get("annotations", {}).items() if k != _LAST_APPLIED}
    bare = wanted | {"metadata": meta | ({"annotations": notes} if "annotations" in meta else {})}
    return json.dumps(bare, separators=(",", ":"), sort_keys=True) + "\n"


def _conflicts(resource: Resource, conflicts: Owners) -> Failure:
    """409, told per manager."""
    causes: list[dict[str, str]] = []
    told: list[str] = []
    for one, owned in sorted(conflicts.values(), key=lambda pair: pair[0].name):
        how = f'"{one.name}"'
        if one.subresource:
            how += f' with subresource "{one.subresource}"'
        if one.operation == "Update":
            how += f" using {resource.api_version}"
        told.append(f"conflicts with {how}:")
        for path in sorted(owned):
            told.append(f"- {paths.said(path)}")
            message = f"conflict with {how}"
            causes.append(
                {
                    "reason": "FieldManagerConflict",
                    "message": message,
                    "field": paths.said(path),
                }
            )
    count = len(causes)
    if count == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        message = f"Apply failed with {count} conflicts: " + "\n".join(told)
    return Failure(409, "Conflict", message, {"causes": causes})


def later(owners: Owners, who: Manager, time: str) -> Owners:
    """The owners, `who` as of this time."""
    one, owned = owners[who.identity]
    return owners | {who.identity: (replace(one, time=time), owned)}
