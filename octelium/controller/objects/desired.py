"""From a container that a Service asks for to the objects of Kubernetes that run it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Final

from octelium.controller.objects import names
from octelium.controller.objects.deployment import deployment_spec
from octelium.controller.objects.faults import faults_of
from octelium.controller.objects.network_policy import network_policy_spec
from octelium.controller.objects.outcome import Desired, Manifest
from octelium.controller.objects.pod import pod_spec
from octelium.controller.objects.secrets import (
    ENVIRONMENT,
    PULL_KEY,
    PULL_TYPE,
    REGISTRY,
    fingerprint,
    registry_login,
    variables,
)
from octelium.controller.objects.service import service_spec

if TYPE_CHECKING:
    from octelium.controller.managed import Managed
    from octelium.controller.objects.settings import Settings

_VERSIONS: Final = {"Deployment": "apps/v1", "NetworkPolicy": "networking.k8s.io/v1"}


def desired(managed: Managed, cluster: str, settings: Settings) -> Desired:
    """The objects that a container needs, in the order to apply.

    First the Secrets, then the NetworkPolicy, so that no Pod runs without one, then the Service and
    the Deployment. `cluster` is the Cluster's id, the value of a label. Every object says all that
    it must, in the form in which the API server gives it back. With a problem there is only the
    NetworkPolicy: what it says comes from the settings, and may have to change for what runs.

    With Secrets in the environment it may take a tenth of a second each, for `fingerprint`.

    Raises:
        ValueError: the Cluster's id or the settings cannot be used, whatever the container is.
    """
    name = names.object_name(managed)
    selector = names.selector(cluster, managed.key)
    contents, problems = variables(managed)
    login, further = registry_login(managed)
    problems = [*faults_of(managed.container, settings), *problems, *further]
    env_secret, pull_secret = f"{name}-{ENVIRONMENT}", f"{name}-{REGISTRY}"
    objects: list[Manifest] = []

    def add(kind: str, object_name: str, **parts: object) -> None:
        annotations = {names.SERVICE: managed.service}
        made: Manifest = {
            "apiVersion": _VERSIONS.get(kind, "v1"),
            "kind": kind,
            "metadata": {
                "name": object_name,
                "namespace": settings.namespace,
                "labels": names.labels_of(cluster, managed.key),
                "annotations": annotations,
            },
            **parts,
        }
        annotations[names.APPLIED] = _digest(made)
        objects.append(made)

    policy = network_policy_spec(managed, selector, settings)
    if problems:
        add("NetworkPolicy", name, spec=policy)
        return Desired(name, (), tuple(dict.fromkeys(problems)), *objects)
    if contents:
        add("Secret", env_secret, type="Opaque", data=_encoded(contents))
    if login is not None:
        add("Secret", pull_secret, type=PULL_TYPE, data=_encoded({PULL_KEY: login}))
    add("NetworkPolicy", name, spec=policy)
    add("Service", name, spec=service_spec(managed, selector))
    template: Manifest = {
        "metadata": {"labels": names.labels_of(cluster, managed.key)},
        "spec": pod_spec(
            managed,
            settings,
            env_secret=env_secret,
            pull_secret=None if login is None else pull_secret,
        ),
    }
    if contents:
        opened = [managed.secrets[one] for one in contents]
        template["metadata"]["annotations"] = {names.SECRETS: fingerprint(opened, managed.key)}
    add("Deployment", name, spec=deployment_spec(managed.container, selector, template))
    return Desired(name, tuple(objects))


def _encoded(contents: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(data).decode() for name, data in contents.items()}


def _digest(made: Manifest) -> str:
    text = json.dumps(made, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
