"""What the API server refuses although its types are right."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.failure import cause, invalid
from tests.peers.kubernetes.schema import type_of

if TYPE_CHECKING:
    from tests.peers.kubernetes.resources import Resource
    from tests.peers.kubernetes.schema import Type

Object = dict[str, Any]
Causes = list[dict[str, str]]

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used"
    " for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and"
    " must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used"
    " for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',"
    "  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_SHORT = {"Namespace": 63, "Service": 63}
_IMMUTABLE = {
    "Deployment": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "RoleBinding": ("roleRef",),
    "Secret": ("type",),
}


def check(resource: Resource, given: Object, old: Object | None) -> None:
    """Raise `Failure` 422 with every cause, or do nothing."""
    causes: Causes = []
    name = given["metadata"].get("name", "")
    _metadata(resource, given, causes)
    _required(type_of(resource.group, resource.version, resource.kind), given, "", causes)
    if resource.kind in _CHECKS:
        _CHECKS[resource.kind](given, causes)
    if old is not None:
        _unchanged(resource.kind, given, old, causes)
    if causes:
        raise invalid(resource, name, causes)


def _bad(path: str, value: Any, why: str) -> dict[str, str]:
    return cause(
        "FieldValueInvalid",
        path,
        f"Invalid value: {json.dumps(value, separators=(',', ':'))}: {why}",
    )


def _needed(path: str, why: str = "") -> dict[str, str]:
    return cause("FieldValueRequired", path, "Required value" + (f": {why}" if why else ""))


def _metadata(resource: Resource, given: Object, causes: Causes) -> None:
    meta = given["metadata"]
    name = meta.get("name", "")
    if not name:
        causes.append(_needed("metadata.name", "name or generateName is required"))
    elif resource.kind in _SHORT:
        if len(name) > 63:
            causes.append(_bad("metadata.name", name, "must be no more than 63 characters"))
        elif not _LABEL.match(name):
            causes.append(_bad("metadata.name", name, _LABEL_TEXT))
    elif resource.kind in ("Role", "RoleBinding"):
        if name in (".", "..") or "/" in name or "%" in name:
            causes.append(_bad("metadata.name", name, "may not contain '/' or '%'"))
    elif len(name) > 253:
        causes.append(_bad("metadata.name", name, "must be no more than 253 characters"))
    elif not _SUBDOMAIN.match(name):
        causes.append(_bad("metadata.name", name, _SUBDOMAIN_TEXT))
    _labels(meta.get("labels") or {}, "metadata.labels", causes)


def _labels(labels: dict[str, str], path: str, causes: Causes) -> None:
    for key, value in labels.items():
        prefix, _, last = key.rpartition("/")
        if (prefix and not _SUBDOMAIN.match(prefix)) or not _VALUE.match(last) or not last:
            causes.append(_bad(path, key, "name part must consist of alphanumeric characters"))
        if len(last) > 63:
            causes.append(_bad(path, key, "name part must be no more than 63 characters"))
        if len(value) > 63:
            causes.append(_bad(path, value, "must be no more than 63 characters"))
        elif not _VALUE.match(value):
            causes.append(_bad(path, value, _VALUE_TEXT))


def _required(kind: Type, value: Any, path: str, causes: Causes) -> None:
    if kind.shape == "list":
        for at, item in enumerate(value):
            _required(kind.item, item, f"{path}[{at}]", causes)
    elif kind.shape == "map":
        child = kind.child("")
        assert child is not None
        for name, inner in value.items():
            _required(child, inner, f"{path}[{name}]", causes)
    elif kind.shape == "struct":
        for name in kind.required:
            if value.get(name) in (None, "") and name not in ("serviceName", "lastTransitionTime"):
                nullable = (kind.child(name) or kind).shape == "struct"
                if not nullable or name not in value:
                    causes.append(_needed(f"{path}.{name}".lstrip(".")))
        for name, inner in value.items():
            child = kind.child(name)
            told = name in ("managedFields", "status")  # the server's own
            if child is not None and inner is not None and not told:
                _required(child, inner, f"{path}.{name}".lstrip("."), causes)


def _workload(given: Object, causes: Causes) -> None:
    spec = given["spec"]
    selector = spec.get("selector") or {}
    template = spec["template"]
    labels = template["metadata"].get("labels") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        if spec.get("selector") is not None:
            causes.append(
                _bad("spec.selector", selector, "empty selector is invalid for deployment")
            )
    elif any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        causes.append(
            _bad(
                "spec.template.metadata.labels",
                labels,
                "`selector` does not match template `labels`",
            )
        )
    if not spec.get("selector"):
        why = "`selector` does not match template `labels`"
        causes.append(_bad("spec.template.metadata.labels", labels or None, why))
    _labels(labels, "spec.template.labels", causes)
    if spec.get("replicas", 0) < 0:
        why = "must be greater than or equal to 0"
        causes.append(_bad("spec.replicas", spec["replicas"], why))
    claims = {one["metadata"].get("name") for one in spec.get("volumeClaimTemplates") or ()}
    _pod_spec(template["spec"], "spec.template.spec", causes, claims)


def _pod(given: Object, causes: Causes) -> None:
    _pod_spec(given["spec"], "spec", causes)


def _pod_spec(spec: Object, path: str, causes: Causes, claims: set[Any] | None = None) -> None:
    """`claims`: names of the volumes that a StatefulSet adds."""
    volumes = {volume.get("name") for volume in spec.get("volumes", ())} | (claims or set())
    if not spec.get("containers"):
        if "containers" in spec:
            causes.append(_needed(f"{path}.containers"))
        return
    seen: set[str] = set()
    for at, one in enumerate(spec["containers"]):
        here = f"{path}.containers[{at}]"
        name = one.get("name", "")
        if name and (not _LABEL.match(name) or len(name) > 63):
            causes.append(_bad(f"{here}.name", name, _LABEL_TEXT))
        if name in seen:
            causes.append(
                cause("FieldValueDuplicate", f"{here}.name", f'Duplicate value: "{name}"')
            )
        seen.add(name)
        if not one.get("image"):
            causes.append(_needed(f"{here}.image"))
        for number, mount in enumerate(one.get("volumeMounts", ())):
            if mount.get("name") not in volumes:
                text = f'Not found: "{mount.get("name")}"'
                where = f"{here}.volumeMounts[{number}].name"
                causes.append(cause("FieldValueNotFound", where, text))
        _environment(one.get("env", ()), f"{here}.env", causes)
        _ports(one.get("ports", ()), f"{here}.ports", "containerPort", causes)
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            _probe(one.get(probe), f"{here}.{probe}", probe, causes)
        _resources(one.get("resources", {}), f"{here}.resources", causes)


def _environment(variables: Any, path: str, causes: Causes) -> None:
    for at, one in enumerate(variables):
        source = one.get("valueFrom")
        if source is None:
            continue
        here = f"{path}[{at}].valueFrom"
        if not source:
            causes.append(_bad(here, "", "must specify one of: `fieldRef`, `resourceFieldRef`,"
                               " `configMapKeyRef` or `secretKeyRef`"))  # fmt: skip
        elif one.get("value"):
            causes.append(_bad(here, "", "may not be specified when `value` is not empty"))
        elif len(source) > 1:
            causes.append(_bad(here, "", "may not have more than one field specified at a time"))


def _ports(ports: Any, path: str, name: str, causes: Causes) -> None:
    for at, port in enumerate(ports):
        if name == "containerPort" and not port.get(name):
            causes.append(_needed(f"{path}[{at}].{name}"))
        elif not 1 <= port.get(name, 0) <= 65535:
            causes.append(
                _bad(
                    f"{path}[{at}].{name}", port.get(name), "must be between 1 and 65535, inclusive"
                )
            )
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            text = f'Unsupported value: "{port.get("protocol")}"'
            text += ': supported values: "SCTP", "TCP", "UDP"'
            causes.append(cause("FieldValueNotSupported", f"{path}[{at}].protocol", text))


def _probe(probe: Object | None, path: str, name: str, causes: Causes) -> None:
    if probe is None:
        return
    handlers = [one for one in ("exec", "httpGet", "tcpSocket", "grpc") if one in probe]
    if not handlers:
        causes.append(_needed(path, "must specify a handler type"))
    if len(handlers) > 1:
        text = "Forbidden: may not specify more than 1 handler type"
        causes.append(cause("FieldValueForbidden", f"{path}.{handlers[1]}", text))
    if name != "readinessProbe" and probe.get("successThreshold") != 1:
        causes.append(_bad(f"{path}.successThreshold", probe.get("successThreshold"), "must be 1"))


def _resources(resources: Object, path: str, causes: Causes) -> None:
    from tests.peers.kubernetes.quantities import value

    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for name, wanted in requests.items():
        if name in limits and value(wanted) > value(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            causes.append(_bad(f"{path}.requests", wanted, why))


def _service(given: Object, causes: Causes) -> None:
    spec = given["spec"]
    ports = spec.get("ports", ())
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(_needed("spec.ports"))
    _ports(ports, "spec.ports", "port", causes)
    if len(ports) > 1:
        for at, port in enumerate(ports):
            if not port.get("name"):
                causes.append(_needed(f"spec.ports[{at}].name"))


def _claim(given: Object, causes: Causes) -> None:
    spec = given["spec"]
    if not spec.get("accessModes"):
        causes.append(_needed("spec.accessModes", "at least 1 access mode is required"))
    if "storage" not in spec["resources"].get("requests", {}):
        causes.append(_needed("spec.resources[storage]"))


def _lease(given: Object, causes: Causes) -> None:
    spec = given["spec"]
    if spec.get("leaseDurationSeconds") is not None and spec["leaseDurationSeconds"] <= 0:
        why = "must be greater than 0"
        causes.append(_bad("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], why))


def _unchanged(kind: str, given: Object, old: Object, causes: Causes) -> None:
    for path in _IMMUTABLE.get(kind, ()):
        now, before = _at(given, path), _at(old, path)
        if now != before and path == "roleRef":
            told = {name[0].upper() + name[1:]: value for name, value in now.items()}
            told = {"APIGroup": told.pop("ApiGroup", ""), **told}
            causes.append(_bad(path, told, "cannot change roleRef"))
        elif now != before:
            causes.append(_bad(path, now, "field is immutable"))
    if kind == "Service" and given["spec"].get("clusterIP") != old["spec"].get("clusterIP"):
        why = "may not change once set"
        causes.append(_bad("spec.clusterIPs[0]", [given["spec"].get("clusterIP")], why))
    frozen = kind in ("Secret", "ConfigMap") and old.get("immutable")
    if frozen and (given.get("data") != old.get("data") or not given.get("immutable")):
        text = "Forbidden: field is immutable when `immutable` is set"
        causes.append(cause("FieldValueForbidden", "data", text))


def _at(given: Any, path: str) -> Any:
    for name in path.split("."):
        given = (given or {}).get(name)
    return given


_CHECKS = {
    "Deployment": _workload,
    "ReplicaSet": _workload,
    "StatefulSet": _workload,
    "Pod": _pod,
    "Service": _service,
    "PersistentVolumeClaim": _claim,
    "Lease": _lease,
}
