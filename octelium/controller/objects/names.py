"""How the objects of a container are named and labelled."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from octelium.schema.containers import OBJECT_PREFIX
from octelium.schema.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from octelium.controller.managed import Key, Managed

APPLIED: Final = "octelium.com/applied"
"""Annotation: SHA-256 of the object as it was applied."""
SECRETS: Final = "octelium.com/secrets"
"""Annotation of Pods: a fingerprint of the Secrets in their environment."""
SERVICE: Final = "octelium.com/svc"
"""Annotation: the full name of the Service of the Cluster."""

MANAGER_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "octelium"
CLUSTER_LABEL: Final = "octelium.com/cluster"
COMPONENT_LABEL: Final = "octelium.com/component"
COMPONENT: Final = "svc-k8s-upstream"
UID_LABEL: Final = "octelium.com/svc-uid"
CONFIG_LABEL: Final = "octelium.com/svc-upstream-cfg"

_NAMED_DEFAULT: Final = f"{DEFAULT_NAMESPACE}.config"
"""Label of a config that is called as the Service's own is labelled. Such names have no dots."""
_MAX: Final = 63
_ENDING: Final = 16
_OTHER: Final = re.compile(r"[^a-z0-9]+")
_LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def object_name(managed: Managed) -> str:
    """The name of a container's objects: a DNS label (RFC 1123) that no other container has.

    It says the Service and the config, cut where they are long, and ends with 16 hex digits of the
    SHA-256 of the Service's uid and the config: 64 bits, since who writes Services chooses configs
    and may look for a name that another container has.
    """
    return name_for(managed.service, managed.key)


def name_for(service: str, key: Key) -> str:
    """The same of a container by the full name of its Service."""
    readable = _OTHER.sub("-", f"{service}-{key[1] or DEFAULT_NAMESPACE}")
    ending = hashlib.sha256("\n".join(key).encode()).hexdigest()[:_ENDING]
    room = _MAX - len(ending) - 1
    return f"{(OBJECT_PREFIX + readable)[:room].rstrip('-')}-{ending}"


def selector(cluster: str, key: Key) -> dict[str, str]:
    """The labels by which the Pods of a container are found: the same as long as its name is.

    Raises:
        ValueError: one of them is not the value of a label.
    """
    service_uid, config = key
    labels = {
        CLUSTER_LABEL: cluster,
        UID_LABEL: service_uid,
        CONFIG_LABEL: _NAMED_DEFAULT
        if config == DEFAULT_NAMESPACE
        else config or DEFAULT_NAMESPACE,
    }
    for name, value in labels.items():
        if _LABEL_VALUE.fullmatch(value) is None:
            raise ValueError(f"{value!r} is not the value of a label: {name} cannot have it")
    return labels


def labels_of(cluster: str, key: Key) -> dict[str, str]:
    """The labels of every object of a container. Raises ValueError as `selector`."""
    return {MANAGER_LABEL: MANAGER, COMPONENT_LABEL: COMPONENT, **selector(cluster, key)}


def key_of(labels: dict[str, str]) -> Key | None:
    """Which container an object belongs to by its labels; None if they do not say."""
    service_uid, config = labels.get(UID_LABEL), labels.get(CONFIG_LABEL)
    if not service_uid or not config:
        return None
    if config == _NAMED_DEFAULT:
        return service_uid, DEFAULT_NAMESPACE
    return service_uid, "" if config == DEFAULT_NAMESPACE else config
