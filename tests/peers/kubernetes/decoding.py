"""Bodies as typed objects: unknown fields, wrong types, empty values, quantities.

The API server decodes into Go structures, where fields with `omitempty` lose their empty values
unless they are pointers. `POINTERS` says which are.
"""

from __future__ import annotations

import base64
import binascii
import string
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes import quantities
from tests.peers.kubernetes.failure import bad_request
from tests.peers.kubernetes.schema import type_of

if TYPE_CHECKING:
    from tests.peers.kubernetes.resources import Resource
    from tests.peers.kubernetes.schema import Type

POINTERS: dict[str, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "DeploymentSpec": "replicas revisionHistoryLimit progressDeadlineSeconds",
        "DeploymentStatus": "terminatingReplicas collisionCount",
        "ReplicaSetSpec": "replicas",
        "ReplicaSetStatus": "terminatingReplicas",
        "RollingUpdateStatefulSetStrategy": "partition",
        "StatefulSetSpec": "replicas revisionHistoryLimit",
        "StatefulSetStatus": "collisionCount",
        "LeaseSpec": "holderIdentity leaseDurationSeconds leaseTransitions strategy"
        " preferredHolder",
        "AppArmorProfile": "localhostProfile",
        "CSIVolumeSource": "readOnly fsType",
        "ClientIPConfig": "timeoutSeconds",
        "ConfigMap": "immutable",
        "ConfigMapEnvSource": "optional",
        "ConfigMapKeySelector": "optional",
        "ConfigMapProjection": "optional",
        "ConfigMapVolumeSource": "defaultMode optional",
        "Container": "restartPolicy",
        "ContainerStatus": "started stopSignal",
        "DownwardAPIVolumeFile": "mode",
        "DownwardAPIVolumeSource": "defaultMode",
        "GRPCAction": "service",
        "HostPathVolumeSource": "type",
        "KeyToPath": "mode",
        "Lifecycle": "stopSignal",
        "LoadBalancerIngress": "ipMode",
        "PersistentVolumeClaimSpec": "storageClassName volumeMode volumeAttributesClassName",
        "PodDNSConfigOption": "value",
        "PodSecurityContext": "runAsUser runAsGroup runAsNonRoot supplementalGroupsPolicy fsGroup"
        " fsGroupChangePolicy seLinuxChangePolicy",
        "PodSpec": "terminationGracePeriodSeconds activeDeadlineSeconds shareProcessNamespace"
        " automountServiceAccountToken priority runtimeClassName enableServiceLinks"
        " preemptionPolicy setHostnameAsFQDN hostUsers hostnameOverride",
        "Probe": "terminationGracePeriodSeconds",
        "ProjectedVolumeSource": "defaultMode",
        "SeccompProfile": "localhostProfile",
        "Secret": "immutable",
        "SecretEnvSource": "optional",
        "SecretKeySelector": "optional",
        "SecretProjection": "optional",
        "SecretVolumeSource": "defaultMode optional",
        "SecurityContext": "privileged runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem"
        " allowPrivilegeEscalation procMount",
        "ServiceAccount": "automountServiceAccountToken",
        "ServiceAccountTokenProjection": "expirationSeconds",
        "ServicePort": "appProtocol",
        "ServiceSpec": "ipFamilyPolicy allocateLoadBalancerNodePorts loadBalancerClass"
        " internalTrafficPolicy trafficDistribution",
        "Toleration": "tolerationSeconds",
        "TopologySpreadConstraint": "minDomains nodeAffinityPolicy nodeTaintsPolicy",
        "TypedLocalObjectReference": "apiGroup",
        "VolumeMount": "recursiveReadOnly mountPropagation",
        "NetworkPolicyPort": "protocol endPort",
        "ObjectMeta": "deletionGracePeriodSeconds",
        "OwnerReference": "controller blockOwnerDeletion",
    }.items()
}
"""Scalars that keep their empty values, by the name of their type."""

_GO = {
    "string": (str, "string"),
    "byte": (str, "[]uint8"),
    "date-time": (str, "Time"),
    "boolean": (bool, "bool"),
    "int32": (int, "int32"),
    "int64": (int, "int64"),
    "integer": (int, "int"),
}

_BASE64 = string.ascii_letters + string.digits + "+/="


class Decoder:
    """Makes one body canonical. `unknown` are the fields that no type has."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.unknown: list[str] = []
        self._within = ""

    def decode(self, body: Any) -> dict[str, Any]:
        """The object. Raises `Failure` 400 where a value has the wrong type."""
        one = self.resource
        if not isinstance(body, dict):
            raise bad_request("the object provided is unrecognized (must be of type object)")
        made = self._value(type_of(one.group, one.version, one.kind), body, "", required=True)
        return {"apiVersion": one.api_version, "kind": one.kind, **(made or {})}

    def _wrong(self, value: Any, path: str, wanted: str) -> Exception:
        kinds = {str: "string", bool: "bool", dict: "object", list: "array"}
        kind = kinds.get(type(value), "number")
        one = self.resource
        return bad_request(
            f'{one.kind} in version "{one.version}" cannot be handled as a {one.kind}: json:'
            f" cannot unmarshal {kind} into Go struct field {self._within}{path} of type {wanted}"
        )

    def _value(self, kind: Type, value: Any, path: str, *, required: bool) -> Any:
        if value is None:
            return None
        if kind.shape == "struct":
            return self._struct(kind, value, path)
        if kind.shape == "map":
            return self._map(kind, value, path)
        if kind.shape == "list":
            if not isinstance(value, list):
                raise self._wrong(value, path, "[]")
            items = [
                self._value(kind.item, item, f"{path}[{at}]", required=True)
                for at, item in enumerate(value)
            ]
            return items if items or required else None
        return self._scalar(kind, value, path)

    def _struct(self, kind: Type, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(value, path, kind.name.rpartition(".")[2])
        if not kind.raw.get("properties"):
            return dict(value)
        kept = POINTERS.get(kind.name.rpartition(".")[2], frozenset()) | set(kind.required)
        made = {}
        for name, inner in value.items():
            child = kind.child(name)
            if child is None:
                self.unknown.append(f"{path}.{name}".lstrip("."))
                continue
            self._within = kind.name.rpartition(".")[2]
            got = self._value(child, inner, f"{path}.{name}", required=name in kept)
            empty = child.shape == "scalar" and got in ("", 0, False) and name not in kept
            if child.scalar in ("int-or-string", "quantity") and got is not None:
                empty = False
            if got is not None and not empty:
                made[name] = got
        return made

    def _map(self, kind: Type, value: Any, path: str) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            raise self._wrong(value, path, "map[string]string")
        child = kind.child("")
        assert child is not None
        made = {
            name: self._value(child, inner, f"{path}.{name}", required=True)
            for name, inner in value.items()
        }
        if child.scalar in ("string", "byte"):  # null is the empty string of Go
            made = {name: "" if got is None else got for name, got in made.items()}
        return made or None

    def _scalar(self, kind: Type, value: Any, path: str) -> Any:
        if kind.scalar == "quantity":
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise self._wrong(value, path, "Quantity")
            try:
                return quantities.canonical(value)
            except ValueError as error:
                one = self.resource
                raise bad_request(
                    f'{one.kind} in version "{one.version}" cannot be handled as a {one.kind}:'
                    f" {error}"
                ) from None
        if kind.scalar == "int-or-string":
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                raise self._wrong(value, path, "IntOrString")
            return value
        wanted = _GO.get(kind.scalar)
        if wanted is None:
            return value
        if wanted[0] is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, wanted[0]) or (wanted[0] is int and isinstance(value, bool)):
            raise self._wrong(value, path, wanted[1])
        if kind.scalar == "byte":
            try:
                base64.b64decode(str(value), validate=True)
            except binascii.Error:
                good = len(str(value)) - len(str(value).lstrip(_BASE64))
                one = self.resource
                raise bad_request(
                    f'{one.kind} in version "{one.version}" cannot be handled as a {one.kind}:'
                    f" illegal base64 data at input byte {good}"
                ) from None
        return value
