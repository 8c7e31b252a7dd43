"""Requests of people with few rights, for what is not there, deletions and watches."""

from __future__ import annotations

from tests.peers.kubernetes.conversation import APPLY, MERGE, Step
from tests.peers.kubernetes.samples import APPS, CORE, RIGHTS, deployment

ACCESS: list[Step] = [
    Step("GET", APPS + "/deployments", user="alice"),
    Step("GET", APPS + "/deployments/web", user="alice"),
    Step("GET", APPS + "/deployments", user=""),
    Step("GET", "/api/v1/namespaces", user="alice"),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        deployment(),
        APPLY,
        user="alice",
        query={"fieldManager": "x"},
    ),
    Step("POST", CORE + "/pods/x/exec", user="alice"),
    Step(
        "POST",
        RIGHTS + "/roles",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "r"},
            "rules": [
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}
            ],
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        RIGHTS + "/rolebindings",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "r"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "alice"}],
        },
        query={"fieldManager": "m"},
    ),
    Step(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "namespace": "t",
                    "verb": "delete",
                    "group": "apps",
                    "resource": "deployments",
                }
            },
        },
        user="alice",
    ),
    Step("GET", "/apis/apps/v1/namespaces/default/deployments", user="alice"),
    Step("DELETE", APPS + "/deployments/web", user="alice"),
    Step("PATCH", RIGHTS + "/rolebindings/r", {"roleRef": {"name": "x"}}, MERGE),
    Step("POST", APPS + "/deployments", deployment("q"), user="nobody"),
    Step("GET", CORE + "/pods/none"),
    Step("GET", "/apis/none/v1/x"),
    Step("GET", "/api/v1/nothings"),
    Step(
        "POST",
        "/api/v1/namespaces/none/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
    ),
    Step(
        "POST",
        CORE + "/configmaps",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}},
    ),
    Step(
        "POST",
        CORE + "/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "other"}},
    ),
    Step(
        "DELETE",
        CORE + "/configmaps/c",
        {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}},
    ),
    Step("DELETE", CORE + "/configmaps/c"),
    Step("DELETE", CORE + "/configmaps/c"),
    Step(
        "DELETE",
        APPS + "/deployments/two",
        {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"},
    ),
    Step("GET", CORE + "/configmaps", keep={"cw": "resourceVersion"}),
    Step(
        "POST",
        CORE + "/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "w1", "labels": {"x": "y"}}},
        query={"fieldManager": "m"},
    ),
    Step(
        "PATCH", CORE + "/configmaps/w1", {"data": {"a": "1"}}, MERGE, query={"fieldManager": "m"}
    ),
    Step(
        "PATCH",
        CORE + "/configmaps/w1",
        {"metadata": {"labels": {"x": "z"}}},
        MERGE,
        query={"fieldManager": "m"},
    ),
    Step("DELETE", CORE + "/configmaps/w1"),
    Step(
        "GET",
        CORE + "/configmaps",
        query={"watch": "1", "resourceVersion": "{cw}", "timeoutSeconds": "1"},
    ),
    Step(
        "GET",
        CORE + "/configmaps",
        query={
            "watch": "1",
            "resourceVersion": "{cw}",
            "timeoutSeconds": "1",
            "labelSelector": "x=y",
        },
    ),
    Step("GET", CORE + "/configmaps", query={"resourceVersion": "999999999"}),
    Step("GET", CORE + "/configmaps", query={"resourceVersion": "x"}),
]
