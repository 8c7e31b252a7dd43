"""The Pod that runs a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.controller.objects.probes import probes_of
from octelium.controller.objects.resources import resources_of
from octelium.controller.objects.security import container_security, pod_security
from octelium.controller.objects.volumes import mounts_of, volumes_of
from octelium.schema.images import pinned

if TYPE_CHECKING:
    from octelium.controller.managed import Managed
    from octelium.controller.objects.outcome import Manifest
    from octelium.controller.objects.settings import Settings
    from octelium.schema.pb import core_v1_pb2 as core

CONTAINER: Final = "backend"
HOST_NAME: Final = "octelium"

_MAX_NAME_SERVERS: Final = 3


def pod_spec(
    managed: Managed, settings: Settings, *, env_secret: str, pull_secret: str | None
) -> Manifest:
    """The Pod of a container, which knows nothing of Kubernetes.

    No service account's token is mounted, no variables tell of other Services, and names are asked
    of the settings' name servers: those of Kubernetes know what it runs. `env_secret` names the
    Kubernetes Secret with the values of `fromSecret`, `pull_secret` that of the registry, if there
    is one.

    Raises:
        ValueError: there are more name servers than a resolver asks.
    """
    if len(settings.name_servers) > _MAX_NAME_SERVERS:
        raise ValueError(f"{len(settings.name_servers)} name servers: at most three are asked")
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostname": HOST_NAME,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": list(settings.name_servers)},
        "securityContext": pod_security(),
        "containers": [_container(managed, env_secret)],
    }
    if pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": pull_secret}]
    volumes = volumes_of(managed.container)
    if volumes:
        spec["volumes"] = volumes
    return spec


def _container(managed: Managed, env_secret: str) -> Manifest:
    container = managed.container
    made: Manifest = {
        "name": CONTAINER,
        "image": container.image,
        "imagePullPolicy": _pull_policy(container.image),
        "ports": [{"containerPort": container.port, "protocol": managed.protocol}],
        "resources": resources_of(container),
        "securityContext": container_security(container),
        **probes_of(managed),
    }
    lists = {
        "command": list(container.command),
        "args": list(container.args),
        "env": [_variable(env, env_secret) for env in container.env],
        "volumeMounts": mounts_of(container),
    }
    return {**made, **{name: entries for name, entries in lists.items() if entries}}


def _pull_policy(image: str) -> str:
    """When the registry is asked: at every start, unless the image is pinned by its digest.

    A kubelet starts an image that the node already has without asking whether the Pod may have it,
    before 1.35 in any case ("Ensure Secret Pulled Images", KEP-2535). By the name of a private
    image that another pulled, a container without its credentials would run. A digest is known
    only to who was told it, and lets an image start while its registry is away.
    """
    return "IfNotPresent" if pinned(image) else "Always"


def _variable(env: core.ServiceSpecConfigUpstreamContainerEnv, env_secret: str) -> Manifest:
    match env.WhichOneof("type"):
        case "from_secret":
            return _from_secret(env.name, env_secret, env.from_secret)
        case "kubernetes_secret_ref":
            reference = env.kubernetes_secret_ref
            return _from_secret(env.name, reference.name, reference.key)
        case _:
            return {"name": env.name, "value": env.value} if env.value else {"name": env.name}


def _from_secret(name: str, secret: str, key: str) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
