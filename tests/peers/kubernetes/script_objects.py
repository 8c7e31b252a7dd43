"""Requests about the other kinds of objects, and Pods that PodSecurity refuses."""

from __future__ import annotations

from tests.peers.kubernetes.conversation import MERGE, Step
from tests.peers.kubernetes.samples import (
    APPS,
    CORE,
    LEASE,
    LEASES,
    POLICIES,
    POLICY,
    SERVICE,
    apply,
    with_meta,
)

OBJECTS: list[Step] = [
    apply(CORE + "/services/s", SERVICE, "one"),
    apply(CORE + "/services/s", SERVICE, "one"),
    apply(
        CORE + "/services/s",
        {**SERVICE, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}, {"port": 81}]}},
        "one",
    ),
    apply(
        CORE + "/services/s",
        {
            **SERVICE,
            "spec": {
                "selector": {"app": "web"},
                "ports": [{"port": 81, "protocol": "UDP", "name": "u"}],
            },
        },
        "one",
    ),
    Step("PATCH", CORE + "/services/s", {"spec": {"clusterIP": "10.96.0.77"}}, MERGE),
    Step(
        "POST",
        CORE + "/services",
        {
            **SERVICE,
            "metadata": {"name": "s2"},
            "spec": {"clusterIP": "None", "selector": {"a": "b"}},
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST", CORE + "/services", {**SERVICE, "metadata": {"name": "s3"}, "spec": {"ports": []}}
    ),
    Step("DELETE", CORE + "/services/s2"),
    # Network policies: lists that are owned as a whole.
    apply(POLICIES + "/n", POLICY, "one"),
    apply(POLICIES + "/n", POLICY, "one"),
    apply(POLICIES + "/n", {**POLICY, "spec": {"podSelector": {}, "ingress": []}}, "one"),
    # Secrets and ConfigMaps.
    apply(
        CORE + "/secrets/x",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "x"},
            "type": "Opaque",
            "data": {"data": "YQ=="},
        },
        "one",
    ),
    apply(
        CORE + "/secrets/x",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "x"},
            "data": {"data": "YQ==", "e": ""},
        },
        "one",
    ),
    apply(
        CORE + "/secrets/x",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringData": {"z": "a"}},
        "one",
    ),
    Step(
        "POST",
        CORE + "/secrets",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "y"}, "stringData": {"z": "a"}},
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        CORE + "/secrets",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "z"}, "data": {"z": "%%"}},
    ),
    Step("PATCH", CORE + "/secrets/x", {"type": "other"}, MERGE),
    Step(
        "POST",
        CORE + "/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Bad_"}, "data": {"a": "b"}},
    ),
    Step(
        "POST",
        CORE + "/configmaps",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c"},
            "data": {"a": "b"},
            "immutable": True,
        },
        query={"fieldManager": "m"},
    ),
    Step("PATCH", CORE + "/configmaps/c", {"data": {"a": "c"}}, MERGE),
    # Leases.
    Step("POST", LEASES, LEASE, query={"fieldManager": "m"}, keep={"lrv": "resourceVersion"}),
    Step(
        "PUT",
        LEASES + "/l",
        with_meta(
            {**LEASE, "spec": {**LEASE["spec"], "renewTime": "2026-01-01T00:00:05.000000Z"}},
            resourceVersion="{lrv}",
        ),
        query={"fieldManager": "m"},
    ),
    Step(
        "PUT",
        LEASES + "/l",
        with_meta(
            {**LEASE, "spec": {**LEASE["spec"], "renewTime": "2026-01-01T00:00:06.000000Z"}},
            resourceVersion="{lrv}",
        ),
        query={"fieldManager": "m"},
    ),
    # Claims, quotas, workloads, and what PodSecurity takes.
    Step(
        "POST",
        CORE + "/persistentvolumeclaims",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "c"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1024Mi"}},
            },
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        CORE + "/resourcequotas",
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "q"},
            "spec": {"hard": {"pods": "10", "limits.cpu": "2000m"}},
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        CORE + "/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa"}},
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        APPS + "/statefulsets",
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "ss"},
            "spec": {
                "selector": {"matchLabels": {"app": "ss"}},
                "serviceName": "ss",
                "template": {
                    "metadata": {"labels": {"app": "ss"}},
                    "spec": {"containers": [{"name": "c", "image": "x:1"}]},
                },
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "d"},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "1Gi"}},
                        },
                    }
                ],
            },
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        APPS + "/replicasets",
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": "rs"},
            "spec": {
                "selector": {"matchLabels": {"app": "ss"}},
                "template": {
                    "metadata": {"labels": {"app": "ss"}},
                    "spec": {"containers": [{"name": "c", "image": "x:1"}]},
                },
            },
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        "/api/v1/namespaces",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": "r",
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        "/api/v1/namespaces",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "b", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}},
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        "/api/v1/namespaces/r/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "x"}]},
        },
    ),
    Step(
        "POST",
        "/api/v1/namespaces/b/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {
                "hostNetwork": True,
                "containers": [
                    {
                        "name": "c",
                        "image": "x",
                        "ports": [{"hostPort": 80, "containerPort": 80}],
                        "securityContext": {
                            "privileged": True,
                            "capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN"]},
                        },
                    },
                    {
                        "name": "d",
                        "image": "x",
                        "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}},
                    },
                ],
                "volumes": [{"name": "h", "hostPath": {"path": "/"}}],
            },
        },
    ),
    Step(
        "POST",
        "/api/v1/namespaces/r/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {
                "containers": [
                    {
                        "name": "c",
                        "image": "x",
                        "securityContext": {
                            "runAsUser": 0,
                            "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
                        },
                    },
                    {"name": "d", "image": "x"},
                ],
                "volumes": [{"name": "h", "hostPath": {"path": "/"}}],
            },
        },
    ),
    Step(
        "POST",
        "/api/v1/namespaces/b/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "ok"},
            "spec": {
                "serviceAccountName": "default",
                "containers": [{"name": "c", "image": "x", "resources": {"limits": {"cpu": "1"}}}],
            },
        },
        query={"fieldManager": "m"},
    ),
    Step("DELETE", "/api/v1/namespaces/b/pods/ok"),
]
