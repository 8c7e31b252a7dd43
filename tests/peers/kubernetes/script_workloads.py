"""Requests about Deployments: apply, conflicts, edits by others, refusals."""

from __future__ import annotations

from tests.peers.kubernetes.conversation import APPLY, JSON_PATCH, MERGE, STRATEGIC, TABLE, Step
from tests.peers.kubernetes.samples import APPS, apply, deployment, with_meta, workload

WORKLOADS: list[Step] = [
    Step(
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "t"}},
        query={"fieldManager": "m"},
    ),
    apply(APPS + "/deployments/web", workload(), "one", dryRun="All"),
    Step("GET", APPS + "/deployments/web"),
    apply(APPS + "/deployments/web", workload(), "one"),
    apply(APPS + "/deployments/web", workload(), "one"),
    apply(APPS + "/deployments/web", {**deployment(), "spec": {"replicas": 5}}, "two"),
    apply(
        APPS + "/deployments/web", {**deployment(), "spec": {"replicas": 5}}, "two", force="true"
    ),
    apply(APPS + "/deployments/web", workload(), "one"),
    apply(APPS + "/deployments/web", deployment(), "one", force="true"),
    apply(
        APPS + "/deployments/web",
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}},
        "two",
    ),
    apply(
        APPS + "/deployments/web",
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"foo": 1}},
        "two",
    ),
    apply(
        APPS + "/deployments/web",
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": "x"}},
        "two",
    ),
    apply(APPS + "/deployments/web", {"apiVersion": "apps/v2", "kind": "Deployment"}, "two"),
    apply(
        APPS + "/deployments/web",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"managedFields": [{"manager": "x"}]},
        },
        "two",
    ),
    Step("PATCH", APPS + "/deployments/web", deployment(), APPLY),
    apply(APPS + "/deployments/web", deployment("other"), "two"),
    apply(APPS + "/deployments/web", deployment(selector={"matchLabels": {"app": "other"}}), "one"),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        {"spec": {"replicas": 7}},
        MERGE,
        query={"fieldManager": "three"},
    ),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        {
            "spec": {
                "template": {
                    "spec": {"containers": [{"name": "c", "env": [{"name": "Z", "value": "1"}]}]}
                }
            }
        },
        STRATEGIC,
        query={"fieldManager": "three"},
    ),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "x"}]}}}},
        STRATEGIC,
        query={"fieldManager": "three"},
    ),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}},
        STRATEGIC,
        query={"fieldManager": "three"},
    ),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        [
            {"op": "replace", "path": "/spec/replicas", "value": 1},
            {"op": "add", "path": "/metadata/labels/q", "value": "r"},
        ],
        JSON_PATCH,
        query={"fieldManager": "four"},
    ),
    Step(
        "PATCH", APPS + "/deployments/web", [{"op": "remove", "path": "/spec/nothing"}], JSON_PATCH
    ),
    apply(APPS + "/deployments/web", deployment(replicas=1), "one"),
    apply(APPS + "/deployments/web", deployment(replicas=4), "one"),
    apply(APPS + "/deployments/web", deployment(replicas=4), "one", force="true"),
    Step("PATCH", APPS + "/deployments/web", {"spec": {"replicas": "x"}}, MERGE),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        {"spec": {"nope": 1}},
        MERGE,
        query={"fieldValidation": "Strict"},
    ),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        {"spec": {"selector": {"matchLabels": {"app": "other"}}}},
        MERGE,
    ),
    Step(
        "PATCH",
        APPS + "/deployments/web",
        {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 2}},
        MERGE,
    ),
    Step("PATCH", APPS + "/deployments/web", {}, "text/plain"),
    Step(
        "POST",
        APPS + "/deployments",
        workload("two"),
        query={"fieldManager": "m"},
        keep={"rv": "resourceVersion", "uid": "uid"},
    ),
    Step("POST", APPS + "/deployments", workload("two")),
    Step("PUT", APPS + "/deployments/two", with_meta(workload("two"), resourceVersion="1")),
    Step(
        "PUT",
        APPS + "/deployments/two",
        with_meta(deployment("two"), resourceVersion="{rv}"),
        query={"fieldManager": "m"},
    ),
    Step("PUT", APPS + "/deployments/two", deployment("other")),
    Step("PUT", APPS + "/deployments/missing", deployment("missing")),
    Step(
        "POST",
        APPS + "/deployments",
        deployment("bad", foo=1),
        query={"fieldValidation": "Strict"},
    ),
    Step("POST", APPS + "/deployments", deployment("bad", replicas="x")),
    Step("POST", APPS + "/deployments", deployment("Bad_Name")),
    Step(
        "POST",
        APPS + "/deployments",
        {**deployment("bad"), "spec": {"template": {"spec": {"containers": [{"name": "x"}]}}}},
    ),
    Step("POST", APPS + "/deployments", deployment("bad", selector={"matchLabels": {"x": "y"}})),
    Step(
        "POST",
        APPS + "/deployments",
        deployment(
            "bad",
            template={
                "metadata": {"labels": {"app": "bad"}},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": "x",
                            "volumeMounts": [{"name": "q", "mountPath": "/q"}],
                            "resources": {"limits": {"cpu": "x"}},
                        }
                    ]
                },
            },
        ),
    ),
    Step(
        "POST",
        APPS + "/deployments",
        deployment(
            "bad",
            template={
                "metadata": {"labels": {"app": "bad"}},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": "x",
                            "volumeMounts": [{"name": "q", "mountPath": "/q"}],
                            "readinessProbe": {},
                            "ports": [{"containerPort": 0}],
                            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}},
                        }
                    ]
                },
            },
        ),
    ),
    Step(
        "PUT",
        APPS + "/deployments/two/status",
        {
            **deployment("two"),
            "status": {
                "observedGeneration": 1,
                "replicas": 1,
                "conditions": [
                    {
                        "type": "Available",
                        "status": "True",
                        "reason": "r",
                        "message": "m",
                        "lastUpdateTime": "2026-01-01T00:00:00Z",
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                    }
                ],
            },
        },
        query={"fieldManager": "ctl"},
    ),
    Step("GET", APPS + "/deployments/two/scale"),
    Step(
        "GET",
        APPS + "/deployments/two",
        accept=TABLE,
    ),
    Step("GET", APPS + "/deployments", query={"labelSelector": "a=b", "limit": "1"}),
    Step("GET", APPS + "/deployments", query={"fieldSelector": "metadata.name=two"}),
    Step("GET", APPS + "/deployments", query={"fieldSelector": "spec.x=two"}),
    Step("GET", APPS + "/deployments", query={"labelSelector": "a in (c)"}),
]
