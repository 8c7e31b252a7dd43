"""What can be done with objects: create, read, update, patch, apply, delete."""

from __future__ import annotations

import copy
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes import admission, patching, yamls
from tests.peers.kubernetes.decoding import Decoder
from tests.peers.kubernetes.defaults import complete
from tests.peers.kubernetes.failure import (
    Failure,
    bad_request,
    cause,
    conflict,
    exists,
    not_found,
)
from tests.peers.kubernetes.managed import Manager, Ownership
from tests.peers.kubernetes.schema import type_of
from tests.peers.kubernetes.store import now, same
from tests.peers.kubernetes.validation import check

if TYPE_CHECKING:
    from tests.peers.kubernetes.paths import Path
    from tests.peers.kubernetes.resources import Resource
    from tests.peers.kubernetes.store import Store

Object = dict[str, Any]
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_STATUS: list[Path] = [("f:status",)]
_WITH_STATUS = {
    "Namespace", "Pod", "Service", "PersistentVolumeClaim", "ResourceQuota", "Deployment",
    "ReplicaSet", "StatefulSet",
}  # fmt: skip


@dataclass(slots=True)
class Write:
    """How a request wants to write."""

    manager: str = "unknown"
    subresource: str = ""
    dry: bool = False
    strict: str = "Warn"
    force: bool = False


@dataclass(slots=True)
class Written:
    """What came of it."""

    object: Object
    code: int = 200
    changed: bool = False
    warnings: tuple[str, ...] = ()


class Verbs:
    """Carries out requests on a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.addresses = admission.Addresses(store)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """An object. Raises `Failure` 404."""
        found = self.store.get(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def _decoded(
        self, resource: Resource, body: Any, strict: str, patched: bool = False
    ) -> tuple[Object, tuple[str, ...]]:
        decoder = Decoder(resource)
        if isinstance(body, dict):
            for name, wanted in (("kind", resource.kind), ("apiVersion", resource.api_version)):
                if body.get(name) not in (None, wanted):
                    kind, version = body.get("kind", ""), str(body.get("apiVersion", ""))
                    theirs = version.rpartition("/")[2]
                    raise bad_request(
                        f'{kind} in version "{theirs}" cannot be handled as a {resource.kind}:'
                        f" converting ({theirs}.{kind}) to ({resource.group or 'core'}"
                        f".{resource.kind}): unknown conversion"
                    )
        try:
            made = decoder.decode(body)
        except Failure as failure:
            if not patched:
                raise
            raise _bad_patch(body, failure.message.partition(f"{resource.kind}: ")[2]) from None
        warnings = tuple(f'unknown field "{name}"' for name in decoder.unknown)
        if warnings and strict == "Strict":
            text = "strict decoding error: " + ", ".join(warnings)
            if patched:
                raise _bad_patch(body, text)
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a'
                f" {resource.kind}: {text}"
            )
        return complete(made), warnings if strict == "Warn" else ()

    def create(self, resource: Resource, namespace: str, body: Any, how: Write) -> Written:
        """A new object."""
        given, warnings = self._decoded(resource, body, how.strict)
        with self.store.lock:
            return self._create(resource, namespace, given, how, warnings)

    def _create(
        self,
        resource: Resource,
        namespace: str,
        given: Object,
        how: Write,
        warnings: tuple[str, ...] = (),
        *,
        managed: bool = False,
    ) -> Written:
        meta = given["metadata"]
        if meta.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if namespace:
            if meta.setdefault("namespace", namespace) != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on"
                    " the request"
                )
        elif "namespace" in meta and not resource.namespaced:
            meta.pop("namespace")
        if not meta.get("name") and meta.get("generateName"):
            tail = "".join(secrets.choice(_LETTERS) for _ in range(5))
            meta["name"] = meta["generateName"] + tail
        for name in ("uid", "creationTimestamp", "deletionTimestamp", "selfLink"):
            meta.pop(name, None)
        if not managed:
            meta.pop("managedFields", None)
            given = Ownership(resource).update(
                {"metadata": {}}, given, Manager(how.manager, time=now()), _reset(resource, "")
            )
        given = admission.prepare_create(resource, given)
        if resource.counts_generations:
            given["metadata"]["generation"] = 1
        admission.admit(self.store, resource, given, None)
        check(resource, given, None)
        name = given["metadata"]["name"]
        if self.store.get(resource, namespace, name) is not None:
            raise exists(resource, name)
        self.addresses.allocate(resource, given, keep=not how.dry)
        if how.dry:
            given["metadata"].setdefault("uid", "00000000-0000-4000-8000-000000000000")
            given["metadata"].setdefault("creationTimestamp", now())
            return Written(given, 201, False, warnings)
        return Written(self.store.put(resource, given), 201, True, warnings)

    def update(
        self, resource: Resource, namespace: str, name: str, body: Any, how: Write
    ) -> Written:
        """Replace an object, or its status."""
        given, warnings = self._decoded(resource, body, how.strict)
        with self.store.lock:
            live = self.store.get(resource, namespace, name)
            meta = given["metadata"]
            if meta.get("name") != name:
                raise bad_request(
                    f"the name of the object ({meta.get('name', '')}) does not match the name on"
                    f" the URL ({name})"
                )
            if live is None:
                if resource.kind == "Lease" and not meta.get("resourceVersion"):
                    return self._create(resource, namespace, given, how, warnings)
                raise not_found(resource, name)
            return self._replace(resource, live, given, how, warnings)

    def _replace(
        self,
        resource: Resource,
        live: Object,
        given: Object,
        how: Write,
        warnings: tuple[str, ...] = (),
        *,
        managed: bool = False,
    ) -> Written:
        meta, known = given["metadata"], live["metadata"]
        name = known["name"]
        if meta.get("resourceVersion") not in (None, "", known["resourceVersion"]):
            raise conflict(resource, name)
        if meta.get("uid") not in (None, "", known["uid"]):
            raise conflict(
                resource,
                name,
                f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta:"
                f" {known['uid']}",
            )
        given = copy.deepcopy(given)
        if not managed:
            who = Manager(how.manager, "Update", how.subresource, now())
            if how.subresource == "status":
                given = _only_status(live, given)
            elif resource.kind in _WITH_STATUS:
                given = given | ({"status": live["status"]} if "status" in live else {})
            given = Ownership(resource).update(live, given, who, _reset(resource, how.subresource))
        given = admission.prepare_update(resource, given, live, how.subresource)
        complete(given)
        if resource.counts_generations and how.subresource != "status":
            changed = given.get("spec") != live.get("spec") or (
                resource.kind == "Deployment"
                and given["metadata"].get("annotations") != known.get("annotations")
            )
            if changed:
                given["metadata"]["generation"] = known.get("generation", 0) + 1
        admission.admit(self.store, resource, given, live)
        check(resource, given, live)
        if same(live, given):
            return Written(live, 200, False, warnings)
        if how.dry:
            return Written(given, 200, False, warnings)
        over = "deletionTimestamp" in known and not given["metadata"].get("finalizers")
        if over and not admission.lingers(given):
            self.store.remove(resource, given)
            return Written(given, 200, True, warnings)
        return Written(self.store.put(resource, given), 200, True, warnings)

    def patch(
        self, resource: Resource, namespace: str, name: str, sort: str, body: bytes, how: Write
    ) -> Written:
        """Change an object by a patch of one of the four kinds; `sort` is the content type."""
        if sort == "application/apply-patch+yaml":
            return self.apply(resource, namespace, name, body, how)
        try:
            patch = json.loads(body)
        except ValueError as error:
            raise bad_request(f"error decoding patch: {error}") from None
        with self.store.lock:
            live = self.get(resource, namespace, name)
            base = copy.deepcopy(live)
            if sort == "application/json-patch+json":
                made = patching.json_patch(base, patch)
            elif sort == "application/merge-patch+json":
                made = patching.merge(base, patch)
            elif sort == "application/strategic-merge-patch+json":
                kind = type_of(resource.group, resource.version, resource.kind)
                made = patching.strategic(kind, base, patch)
            else:
                why = "415: Unsupported Media Type"
                raise Failure(415, "UnsupportedMediaType", why, {})
            given, warnings = self._decoded(resource, made, how.strict, patched=True)
            if given["metadata"].get("name") != name:
                raise bad_request("the name of the object does not match the name on the URL")
            return self._replace(resource, live, given, how, warnings)

    def apply(
        self, resource: Resource, namespace: str, name: str, body: bytes, how: Write
    ) -> Written:
        """Server-side apply."""
        if how.manager in ("", "unknown"):
            raise Failure(
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required'
                " for apply patch",
                {
                    "group": "meta.k8s.io",
                    "kind": "PatchOptions",
                    "causes": [
                        cause("FieldValueRequired", "fieldManager",
                              "Required value: is required for apply patch")
                    ],
                },
            )  # fmt: skip
        wanted = yamls.read(body)
        label = _label(wanted)
        self._applicable(resource, wanted, namespace, name)
        who = Manager(how.manager, "Apply", how.subresource, now())
        owners = Ownership(resource)
        reset = _reset(resource, how.subresource)
        with self.store.lock:
            live = self.store.get(resource, namespace, name)
            if live is None and wanted["metadata"].get("uid"):
                uid = wanted["metadata"]["uid"]
                why = "uid mismatch: the provided object specified uid"
                raise conflict(resource, name, f"{why} {uid}, and no existing object was found")
            base = live or {"metadata": {}}
            made, after = owners.apply(base, wanted, who, reset, force=how.force, label=label)
            _same_name(wanted, name)
            made["apiVersion"], made["kind"] = resource.api_version, resource.kind
            given, warnings = self._decoded(resource, made, "Ignore")
            given = owners.write(given, after)
            if live is None:
                return self._create(resource, namespace, given, how, warnings, managed=True)
            if how.subresource == "status":
                given = owners.write(_only_status(live, given), after)
            elif resource.kind in _WITH_STATUS and "status" in live:
                given["status"] = live["status"]
            return self._replace(resource, live, given, how, warnings, managed=True)

    def _applicable(self, resource: Resource, wanted: Any, namespace: str, name: str) -> None:
        if not isinstance(wanted, dict) or not isinstance(wanted.setdefault("metadata", {}), dict):
            raise bad_request("error decoding YAML: the patch is no object")
        told = wanted.get("apiVersion", ""), wanted.get("kind", "")
        if told != (resource.api_version, resource.kind):
            raise bad_request(f"invalid object type: {told[0]}, Kind={told[1]}")
        meta = wanted["metadata"]
        if "managedFields" in meta:
            raise bad_request("metadata.managedFields must be nil")
        meta.setdefault("name", name)
        if namespace and meta.setdefault("namespace", namespace) != namespace:
            raise bad_request("the namespace of the object does not match the namespace on the URL")

    def scale(
        self, resource: Resource, namespace: str, name: str, replicas: int, how: Write
    ) -> Written:
        """Set the replicas of a workload."""
        with self.store.lock:
            live = self.get(resource, namespace, name)
            given = copy.deepcopy(live)
            given["spec"]["replicas"] = replicas
            return self._replace(resource, live, given, how)

    def delete(
        self, resource: Resource, namespace: str, name: str, options: Object, *, dry: bool
    ) -> Written:
        """Begin to delete, or delete at once where nothing has to happen before."""
        with self.store.lock:
            live = self.get(resource, namespace, name)
            wanted = options.get("preconditions") or {}
            for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
                known = live["metadata"][field]
                if wanted.get(field) not in (None, "", known):
                    raise _precondition(resource, name, word, wanted[field], known)
            if dry:
                return Written(live)
            return self._delete(resource, live, options)

    def _delete(self, resource: Resource, live: Object, options: Object) -> Written:
        policy = options.get("propagationPolicy", "")
        given = copy.deepcopy(live)
        meta = given["metadata"]
        finalizers = list(meta.get("finalizers", ()))
        for sort, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
            if policy == sort and finalizer not in finalizers:
                finalizers.append(finalizer)
        grace = options.get("gracePeriodSeconds")
        if resource.kind == "Pod":
            normal = given["spec"].get("terminationGracePeriodSeconds", 30)
            grace = normal if grace is None else grace
            if not given["spec"].get("nodeName"):
                grace = 0
        lingers = resource.kind == "Namespace" or (resource.kind == "Pod" and grace)
        if not finalizers and not lingers:
            last = self.store.remove(resource, live)
            if resource.kind == "Pod":
                meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = now(), 0
                meta["generation"] = meta.get("generation", 0) + 1
                meta["resourceVersion"] = last["metadata"]["resourceVersion"]
                return Written(given, 200, True)
            return Written(last, 200, True)
        if "deletionTimestamp" in meta and meta.get("finalizers", []) == finalizers and grace:
            return Written(live)
        meta.setdefault("deletionTimestamp", now())
        meta["deletionGracePeriodSeconds"] = grace or 0
        if finalizers:
            meta["finalizers"] = finalizers
        if resource.kind == "Namespace":
            given["status"]["phase"] = "Terminating"
            meta.pop("deletionGracePeriodSeconds")
        elif resource.counts_generations:
            meta["generation"] = meta.get("generation", 0) + 1
        return Written(self.store.put(resource, given), 200, True)


def _bad_patch(made: Any, why: str) -> Failure:
    """422 for a patch whose outcome is no object of the kind."""
    text = json.dumps(json.dumps(made, separators=(",", ":")))
    one = cause("FieldValueInvalid", "patch", f"Invalid value: {text}: {why}")
    message = f' "" is invalid: patch: {one["message"]}'
    return Failure(422, "Invalid", message, {"causes": [one]})


def _label(wanted: Any) -> str:
    meta = wanted.get("metadata") if isinstance(wanted, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    return f"{meta.get('namespace', '')}/{meta.get('name', '')}"


def _same_name(wanted: Object, name: str) -> None:
    said = wanted["metadata"]["name"]
    if said != name:
        raise bad_request(
            f"the name of the object ({said}) does not match the name on the URL ({name})"
        )


def _precondition(resource: Resource, name: str, word: str, said: str, known: str) -> Failure:
    """409 of a delete that is meant for another object or another state of it."""
    why = (
        f"the {word} in the precondition ({said}) does not match the {word} in record ({known})."
        " The object might have been "
        + ("deleted and then recreated" if word == "UID" else "modified")
    )
    message = f'Operation cannot be fulfilled on {resource.kind} "{name}": {why}'
    return Failure(409, "Conflict", message, {"name": name, "kind": resource.kind})


def _only_status(live: Object, given: Object) -> Object:
    made = copy.deepcopy(live)
    if "status" in given:
        made["status"] = given["status"]
    return made


def _reset(resource: Resource, subresource: str) -> list[Path]:
    """Fields that a way of writing leaves alone."""
    if subresource == "status":
        return [("f:spec",), ("f:metadata",)]
    return _STATUS if resource.kind in _WITH_STATUS else []
