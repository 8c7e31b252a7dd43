"""Objects for the requests that the emulated and a real API server are asked alike."""

from __future__ import annotations

from typing import Any

from tests.peers.kubernetes.conversation import APPLY, Object, Step

APPS = "/apis/apps/v1/namespaces/t"
CORE = "/api/v1/namespaces/t"


def deployment(name: str = "web", **spec: Any) -> Object:
    """A small Deployment."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"a": "b"}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
            },
            **spec,
        },
    }


def workload(name: str = "web") -> Object:
    """One with all that a managed container may have."""
    given = deployment(name, replicas=2)
    given["spec"]["template"]["spec"] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "name": "c",
                "image": "nginx",
                "command": ["a"],
                "args": [],
                "ports": [{"containerPort": 80, "name": "http"}],
                "env": [
                    {"name": "A", "value": ""},
                    {"name": "B", "value": "x"},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ],
                "resources": {
                    "limits": {"cpu": "1000m", "memory": "1024Mi", "ephemeral-storage": "5000Mi"},
                    "requests": {"cpu": "0.5", "memory": "5Mi"},
                },
                "livenessProbe": {"grpc": {"port": 80}},
                "readinessProbe": {
                    "httpGet": {"path": "/x", "port": "http"},
                    "initialDelaySeconds": 0,
                },
                "startupProbe": {"tcpSocket": {"port": 80}},
                "securityContext": {
                    "privileged": False,
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": False,
                    "runAsUser": 1000,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "d", "mountPath": "/d"},
                    {"name": "p", "mountPath": "/p", "readOnly": True, "subPath": "x"},
                    {"name": "s", "mountPath": "/s", "readOnly": False},
                ],
            }
        ],
        "volumes": [
            {"name": "d", "emptyDir": {"sizeLimit": "1024Mi"}},
            {"name": "p", "persistentVolumeClaim": {"claimName": "c"}},
            {"name": "s", "secret": {"secretName": "x"}},
            {
                "name": "j",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token"}},
                        {"configMap": {"name": "kube-root-ca.crt"}},
                    ]
                },
            },
            {"name": "cm", "configMap": {"name": "y"}},
        ],
    }
    return given


def apply(path: str, body: Object, manager: str, **query: str) -> Step:
    """A server-side apply."""
    return Step("PATCH", path, body, APPLY, query={"fieldManager": manager, **query})


def with_meta(given: Object, **meta: Any) -> Object:
    """An object with more metadata."""
    return {**given, "metadata": {**given["metadata"], **meta}}


SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}
POLICY: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "n"},
    "spec": {
        "podSelector": {"matchLabels": {"a": "b"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": {"x": "y"}}, "namespaceSelector": {}}],
                "ports": [{"port": 80}],
            }
        ],
        "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}],
    },
}
POLICIES = "/apis/networking.k8s.io/v1/namespaces/t/networkpolicies"
LEASE: Object = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "l"},
    "spec": {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseTransitions": 0,
    },
}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/t/leases"
RIGHTS = "/apis/rbac.authorization.k8s.io/v1/namespaces/t"
