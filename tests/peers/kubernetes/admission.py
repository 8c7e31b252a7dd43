"""What happens to an object between decoding and the store: allocation, and admission."""

from __future__ import annotations

import copy
import ipaddress
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes import podsecurity
from tests.peers.kubernetes.failure import Failure, about, cause, forbidden, invalid
from tests.peers.kubernetes.quantities import canonical, value
from tests.peers.kubernetes.resources import of_kind

if TYPE_CHECKING:
    from tests.peers.kubernetes.resources import Resource
    from tests.peers.kubernetes.store import Store

Object = dict[str, Any]
PROTECTION = "kubernetes.io/pvc-protection"
"""The finalizer of a claim that Pods may use."""
_RANGE = ipaddress.ip_network("10.96.0.0/16")
_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
         "generation", "namespace", "resourceVersion")  # fmt: skip


class Addresses:
    """Cluster IPs and node ports of Services."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._next = 9

    def _taken(self) -> set[str]:
        return {
            address
            for one in self.store.all(of_kind("Service"))
            for address in one["spec"].get("clusterIPs", ())
        }

    def allocate(self, resource: Resource, given: Object, *, keep: bool) -> None:
        """Give a new Service its address. Raises `Failure` 422 for one that is taken."""
        if resource.kind != "Service" or given["spec"]["type"] == "ExternalName":
            return
        spec = given["spec"]
        if spec.get("clusterIP") != "None":
            taken = self._taken()
            wanted = spec.get("clusterIP")
            if wanted in taken:
                text = (
                    f'Invalid value: ["{wanted}"]: failed to allocate IP {wanted}: provided IP is'
                )
                text += " already allocated"
                why = [cause("FieldValueInvalid", "spec.clusterIPs", text)]
                raise invalid(resource, given["metadata"]["name"], why)
            at = self._next
            while not wanted:
                at += 1
                candidate = str(_RANGE[at])
                wanted = candidate if candidate not in taken else None
            if keep:
                self._next = max(self._next, at)
            spec["clusterIP"] = wanted
            spec["clusterIPs"] = [wanted]
        else:
            spec["clusterIPs"] = ["None"]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec["type"] in ("NodePort", "LoadBalancer"):
            used = {
                port.get("nodePort")
                for one in self.store.all(resource)
                for port in one["spec"].get("ports", ())
            }
            for port in spec["ports"]:
                free = next(at for at in range(30000, 32768) if at not in used)
                used.add(port.setdefault("nodePort", free))


def prepare_create(resource: Resource, given: Object) -> Object:
    """What a kind sets or drops when it is made."""
    made = copy.deepcopy(given)
    kind = resource.kind
    if kind == "Namespace":
        made["spec"]["finalizers"] = ["kubernetes"]
        made["status"] = {"phase": "Active"}
    elif kind in ("Deployment", "PersistentVolumeClaim", "ResourceQuota"):
        made["status"] = {"phase": "Pending"} if kind == "PersistentVolumeClaim" else {}
        if kind == "PersistentVolumeClaim":
            made["metadata"].setdefault("finalizers", [PROTECTION])
    elif kind == "ReplicaSet":
        made["status"] = {"replicas": 0}
    elif kind == "StatefulSet":
        made["status"] = {"replicas": 0, "availableReplicas": 0}
    elif kind == "Service":
        made["status"] = {"loadBalancer": {}}
    elif kind == "Pod":
        made["status"] = {"phase": "Pending", "qosClass": _quality(made["spec"])}
        made["spec"].setdefault("serviceAccountName", "default")
        made["spec"].setdefault("priority", 0)
        made["spec"].setdefault("preemptionPolicy", "PreemptLowerPriority")
        known = [(one.get("key"), one.get("effect")) for one in made["spec"].get("tolerations", ())]
        for name in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
            if (name, "NoExecute") not in known:
                toleration = {"key": name, "operator": "Exists", "effect": "NoExecute"}
                made["spec"].setdefault("tolerations", []).append(
                    toleration | {"tolerationSeconds": 300}
                )
        made["spec"].setdefault("serviceAccount", made["spec"]["serviceAccountName"])
    return made


def _quality(spec: Object) -> str:
    resources = [one.get("resources", {}) for one in spec.get("containers", ())]
    if all(not one.get("limits") and not one.get("requests") for one in resources):
        return "BestEffort"
    full = all(
        set(one.get("limits", {})) >= {"cpu", "memory"}
        and all(
            one["requests"].get(k) == v for k, v in one["limits"].items() if k in ("cpu", "memory")
        )
        for one in resources
    )
    return "Guaranteed" if full else "Burstable"


def prepare_update(resource: Resource, given: Object, live: Object, subresource: str) -> Object:
    """What an update cannot change is as it was."""
    made = copy.deepcopy(given)
    meta, known = made["metadata"], live["metadata"]
    for name in _KEPT:
        meta.pop(name, None)
        if name in known:
            meta[name] = known[name]
    if resource.kind == "Service" and not subresource:
        spec, was = made["spec"], live["spec"]
        if spec["type"] != "ExternalName" and was["type"] != "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if not spec.get(name) and name in was:
                    spec[name] = was[name]
    if resource.kind == "Namespace" and subresource != "finalize":
        made["spec"] = live["spec"]
    if resource.kind == "PersistentVolumeClaim":
        for name in ("volumeName", "storageClassName"):
            if name in live["spec"]:
                made["spec"].setdefault(name, live["spec"][name])
    return made


def lingers(given: Object) -> bool:
    """Whether an object without finalizers stays although it is being deleted."""
    return bool(given["kind"] == "Namespace") or (
        given["kind"] == "Pod" and given["metadata"].get("deletionGracePeriodSeconds", 0) > 0
    )


def admit(store: Store, resource: Resource, given: Object, live: Object | None) -> None:
    """Raise `Failure` for what the cluster's state does not allow."""
    name = given["metadata"].get("name", "")
    if live is None and resource.namespaced:
        place = given["metadata"].get("namespace", "")
        namespace = store.get(of_kind("Namespace"), "", place)
        if namespace is None:
            details = {"name": place, "kind": "namespaces"}
            raise Failure(404, "NotFound", f'namespaces "{place}" not found', details)
        if "deletionTimestamp" in namespace["metadata"]:
            why = (
                f"unable to create new content in namespace {place} because it is being terminated"
            )
            details = about(resource, name) | {
                "causes": [
                    {
                        "reason": "NamespaceTerminating",
                        "message": f"namespace {place} is being terminated",
                        "field": "metadata.namespace",
                    }
                ]
            }
            failure = forbidden(resource, name, why)
            raise Failure(403, "Forbidden", failure.message, details)
    if live is None and resource.kind == "Pod":
        podsecurity.enforce(store, given)
    if live is None:
        _quota(store, resource, given)


def _quota(store: Store, resource: Resource, given: Object) -> None:
    """Counts of objects, and sums of requests and limits of Pods."""
    name, namespace = given["metadata"].get("name", ""), given["metadata"].get("namespace", "")
    for quota in store.all(of_kind("ResourceQuota"), namespace):
        hard = quota["spec"].get("hard", {})
        if not _in_scope(quota, given):
            continue
        wanted = usage(resource, given)
        over = []
        for field, more in wanted.items():
            if field not in hard:
                continue
            used = sum(
                (
                    usage(resource, one).get(field, value(0))
                    for one in store.all(resource, namespace)
                    if _in_scope(quota, one)
                ),
                value(0),
            )
            if used + more > value(hard[field]):
                over.append((field, canonical(float(more)), canonical(float(used)), hard[field]))
        if over:
            requested = ",".join(f"{one[0]}={one[1]}" for one in over)
            used_text = ",".join(f"{one[0]}={one[2]}" for one in over)
            limited = ",".join(f"{one[0]}={one[3]}" for one in over)
            raise forbidden(
                resource,
                name,
                f"exceeded quota: {quota['metadata']['name']}, requested: {requested}, used:"
                f" {used_text}, limited: {limited}",
            )


def _in_scope(quota: Object, given: Object) -> bool:
    """Whether a quota counts an object: of scopes there are those by names of PriorityClasses."""
    wanted = quota["spec"].get("scopeSelector", {}).get("matchExpressions", ())
    return all(
        (one["scopeName"], one["operator"]) == ("PriorityClass", "In")
        and given.get("spec", {}).get("priorityClassName") in one["values"]
        for one in wanted
    )


def usage(resource: Resource, given: Object) -> dict[str, Any]:
    """What an object counts for in a ResourceQuota."""
    counted = {resource.plural: value(1), f"count/{resource.qualified}": value(1)}
    if resource.kind == "Pod":
        for container in given["spec"].get("containers", ()):
            for sort in ("requests", "limits"):
                for name, amount in container.get("resources", {}).get(sort, {}).items():
                    for field in (f"{sort}.{name}", *((name,) if sort == "requests" else ())):
                        counted[field] = counted.get(field, value(0)) + value(amount)
    if resource.kind == "PersistentVolumeClaim":
        counted["requests.storage"] = value(
            given["spec"].get("resources", {}).get("requests", {}).get("storage", "0")
        )
    return counted
