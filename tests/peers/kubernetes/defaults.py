"""Values that the API server sets where an object says nothing."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def complete(given: Object) -> Object:
    """Set the defaults of an object, in place."""
    kind = given["kind"]
    given.setdefault("metadata", {})
    if kind in _DEFAULTS:
        _DEFAULTS[kind](given)
    return given


def _default(into: Object, **values: Any) -> None:
    for name, value in values.items():
        if into.get(name) is None:
            into[name] = value


def _deployment(given: Object) -> None:
    spec = given.setdefault("spec", {})
    _default(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _default(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        _default(rolling, maxSurge="25%", maxUnavailable="25%")
    _template(spec.setdefault("template", {}))
    given.setdefault("status", {})


def _replicaset(given: Object) -> None:
    spec = given.setdefault("spec", {})
    _default(spec, replicas=1)
    _template(spec.setdefault("template", {}))
    given.setdefault("status", {}).setdefault("replicas", 0)


def _statefulset(given: Object) -> None:
    spec = given.setdefault("spec", {})
    _default(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    _default(spec, serviceName="")
    strategy = spec.setdefault("updateStrategy", {})
    _default(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _default(strategy.setdefault("rollingUpdate", {}), partition=0)
    keep = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    _default(keep, whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates", ()):
        _default(claim, apiVersion="v1", kind="PersistentVolumeClaim")
        _claim(claim)
    _template(spec.setdefault("template", {}))
    status = given.setdefault("status", {})
    _default(status, replicas=0, availableReplicas=0)


def _template(template: Object) -> None:
    template.setdefault("metadata", {})
    _pod_spec(template.setdefault("spec", {}))


def _pod(given: Object) -> None:
    spec = given.setdefault("spec", {})
    _pod_spec(spec)
    _default(spec, enableServiceLinks=True)
    for one in spec.get("containers", ()):
        _requests(one)
    given.setdefault("status", {}).setdefault("phase", "Pending")


def _requests(container: Object) -> None:
    """Limits are requests where these are missing; of Pods only, not of templates."""
    resources = container.setdefault("resources", {})
    limits = resources.get("limits", {})
    if limits:
        requests = resources.setdefault("requests", {})
        for name, value in limits.items():
            requests.setdefault(name, value)


def _pod_spec(spec: Object) -> None:
    _default(
        spec,
        dnsPolicy="ClusterFirst",
        restartPolicy="Always",
        schedulerName="default-scheduler",
        securityContext={},
        terminationGracePeriodSeconds=30,
    )
    if spec.get("serviceAccountName"):
        _default(spec, serviceAccount=spec["serviceAccountName"])
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for name in ("initContainers", "containers"):
        for container in spec.get(name, ()):
            _container(container)
    for volume in spec.get("volumes", ()):
        _volume(volume)


def _container(one: Object) -> None:
    image = one.get("image", "")
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    latest = tag in ("", "latest") and "@" not in image
    _default(
        one,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="Always" if latest else "IfNotPresent",
    )
    for port in one.get("ports", ()):
        _default(port, protocol="TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in one:
            _probe(one[probe])
    for env in one.get("env", ()):
        reference = env.get("valueFrom", {}).get("fieldRef")
        if reference is not None:
            _default(reference, apiVersion="v1")


def _probe(probe: Object) -> None:
    _default(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if "httpGet" in probe:
        _default(probe["httpGet"], path="/", scheme="HTTP")
    if "grpc" in probe:
        _default(probe["grpc"], service="")


def _volume(volume: Object) -> None:
    if not set(volume) - {"name"}:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if source in volume:
            _default(volume[source], defaultMode=420)
    for one in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in one:
            _default(one["serviceAccountToken"], expirationSeconds=3600)
    if "hostPath" in volume:
        _default(volume["hostPath"], type="")


def _service(given: Object) -> None:
    spec = given.setdefault("spec", {})
    _default(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "ClientIP":
        affinity = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        _default(affinity, timeoutSeconds=10800)
    for port in spec.get("ports", ()):
        _default(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")
    if spec["type"] != "ExternalName":
        _default(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _default(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _default(spec, allocateLoadBalancerNodePorts=True)
    given.setdefault("status", {}).setdefault("loadBalancer", {})


def _policy(given: Object) -> None:
    spec = given.setdefault("spec", {})
    _default(spec, podSelector={})
    for direction in ("ingress", "egress"):
        for rule in spec.get(direction, ()):
            for port in rule.get("ports", ()):
                _default(port, protocol="TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress"] + (["Egress"] if spec.get("egress") else [])


def _secret(given: Object) -> None:
    _default(given, type="Opaque")
    plain = given.pop("stringData", None)
    if plain:
        from base64 import b64encode

        data = given.setdefault("data", {})
        data.update({name: b64encode(text.encode()).decode() for name, text in plain.items()})


def _claim(given: Object) -> None:
    _default(given.setdefault("spec", {}), volumeMode="Filesystem")
    given.setdefault("spec", {}).setdefault("resources", {})
    given.setdefault("status", {}).setdefault("phase", "Pending")


def _namespace(given: Object) -> None:
    given["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = given[
        "metadata"
    ].get("name", "")
    given.setdefault("spec", {})
    given.setdefault("status", {}).setdefault("phase", "Active")


def _quota(given: Object) -> None:
    given.setdefault("spec", {})
    given.setdefault("status", {})


def _role(given: Object) -> None:
    given.setdefault("rules", None)


def _binding(given: Object) -> None:
    reference = given.setdefault("roleRef", {})
    _default(reference, apiGroup="rbac.authorization.k8s.io")
    for subject in given.get("subjects", ()):
        if subject.get("kind") in ("User", "Group"):
            _default(subject, apiGroup="rbac.authorization.k8s.io")


def _lease(given: Object) -> None:
    given.setdefault("spec", {})


def _event(given: Object) -> None:
    _default(given, reportingComponent="", reportingInstance="", source={})


_DEFAULTS = {
    "Deployment": _deployment,
    "ReplicaSet": _replicaset,
    "StatefulSet": _statefulset,
    "Pod": _pod,
    "Service": _service,
    "NetworkPolicy": _policy,
    "Secret": _secret,
    "PersistentVolumeClaim": _claim,
    "Namespace": _namespace,
    "ResourceQuota": _quota,
    "Role": _role,
    "RoleBinding": _binding,
    "Lease": _lease,
    "Event": _event,
}
