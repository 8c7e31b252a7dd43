"""Containers that between them have every field of `upstream.container`."""

from __future__ import annotations

from typing import Any

from octelium.controller.managed import Managed, Opened, managed_of
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

CLUSTER = "c-1"
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
SECRETS = {
    "db-password": Opened(uid="s-1", name="db-password", data=b"hunter2"),
    "registry": Opened(uid="s-2", name="registry", data="pässword".encode()),
}

CONTAINERS: dict[str, dict[str, Any]] = {
    "least": {},
    "image and port": {"image": "h.test:5000/a/b@sha256:" + 64 * "a", "port": 65535},
    "moving image": {"image": "nginx"},
    "command": {"command": ["/bin/x", ""], "args": ["--a=$(A)", "two\nlines"]},
    "replicas": {"replicas": 3},
    "env value": {"env": [{"name": "A", "value": "x"}, {"name": "B_b-.c", "value": ""}]},
    "env fromSecret": {"env": [{"name": "A", "fromSecret": "db-password"}]},
    "env kubernetesSecretRef": {
        "env": [{"name": "A", "kubernetesSecretRef": {"name": "theirs", "key": "pass.word"}}]
    },
    "credentials": {
        "credentials": {
            "usernamePassword": {"username": "u", "password": {"fromSecret": "registry"}}
        }
    },
    "credentials with a server": {
        "credentials": {
            "usernamePassword": {
                "username": "u",
                "password": {"fromSecret": "registry"},
                "server": "h.test:5000",
            }
        }
    },
    "resources": {"resourceLimit": {"cpu": {"millicores": 2500}, "memory": {"megabytes": 4096}}},
    "little": {"resourceLimit": {"cpu": {"millicores": 1}, "memory": {"megabytes": 1}}},
    "devices": {
        "resourceLimit": {
            "ext": {"nvidia.com/gpu": "2", "a.test/x": "1000", "ephemeral-storage": "20480Mi"}
        }
    },
    "huge pages": {"resourceLimit": {"ext": {"hugepages-2Mi": "2048Ki"}}},
    "security": {
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "runAsUser": 1000,
            "capabilities": {"add": ["NET_BIND_SERVICE", "MKNOD"], "drop": ["ALL", "KILL"]},
        }
    },
    "drop": {"securityContext": {"capabilities": {"drop": ["KILL"]}}},
    "empty directory": {
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "of", "emptyDir": {
            "sizeLimitMegabytes": 2048}}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"},
                         {"name": "of", "mountPath": "/a b", "subPath": "x/y", "readOnly": True}],
    },
    "claim": {
        "volumes": [{"name": "tmp", "persistentVolumeClaim": {"name": "data.v1"}}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    },
    "http probes": {
        "livenessProbe": {"httpGet": {"path": "/live", "port": 81}, "failureThreshold": 7,
                          "successThreshold": 1, "timeoutSeconds": 3, "periodSeconds": 15},
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "initialDelaySeconds": 5,
                           "timeoutSeconds": 4, "periodSeconds": 20, "successThreshold": 2,
                           "failureThreshold": 9},
    },
    "grpc probes": {
        "livenessProbe": {"grpc": {"port": 1}, "failureThreshold": 1000},
        "readinessProbe": {"grpc": {"port": 2}},
    },
    "tcp probes": {
        "livenessProbe": {"tcpSocket": {"port": 65535}, "initialDelaySeconds": 86400},
        "readinessProbe": {"tcpSocket": {"port": 2}},
    },
    "probe without a path": {"livenessProbe": {"httpGet": {"port": 1}}},
}  # fmt: skip

EVERYTHING: dict[str, Any] = {
    **CONTAINERS["command"],
    **CONTAINERS["replicas"],
    "env": [
        *CONTAINERS["env value"]["env"][1:],
        *CONTAINERS["env fromSecret"]["env"],
        {"name": "C", "kubernetesSecretRef": {"name": "theirs", "key": "k"}},
    ],
    **CONTAINERS["credentials"],
    "resourceLimit": {
        **CONTAINERS["resources"]["resourceLimit"],
        **CONTAINERS["devices"]["resourceLimit"],
    },
    **CONTAINERS["security"],
    "volumes": [
        *CONTAINERS["empty directory"]["volumes"],
        {"name": "claim", "persistentVolumeClaim": {"name": "data"}},
    ],
    "volumeMounts": [
        *CONTAINERS["empty directory"]["volumeMounts"],
        {"name": "claim", "mountPath": "/data"},
    ],
    **CONTAINERS["http probes"],
}


def managed(
    container: dict[str, Any],
    *,
    mode: str = "WEB",
    config: str = "",
    name: str = "web.default",
    uid: str = UID,
    secrets: dict[str, Opened] | None = None,
) -> Managed:
    """What a Service with this container asks for."""
    upstream = {"upstream": {"container": {"image": "nginx:1.29", "port": 80, **container}}}
    spec: dict[str, Any] = {"mode": mode}
    if config:
        spec["dynamicConfig"] = {"configs": [{"name": config, **upstream}]}
    else:
        spec["config"] = upstream
    made = from_json(core.Service, {"metadata": {"name": name, "uid": uid}, "spec": spec})
    (found,) = managed_of(made, SECRETS if secrets is None else secrets)
    return found
