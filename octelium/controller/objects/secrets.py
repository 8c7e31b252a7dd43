"""The Kubernetes Secrets of a container: its environment's values, and a registry's password."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from octelium.controller.objects.outcome import Problem
from octelium.schema.images import DOCKER_HUB, registry_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.controller.managed import Key, Managed, Opened
    from octelium.schema.pb import core_v1_pb2 as core

ENVIRONMENT: Final = "env"
"""Ends the name of the Secret whose values stand in the environment."""
REGISTRY: Final = "registry"
"""Ends the name of the Secret by which images are pulled."""

PULL_TYPE: Final = "kubernetes.io/dockerconfigjson"
PULL_KEY: Final = ".dockerconfigjson"

_HUB_KEY: Final = "https://index.docker.io/v1/"
"""How kubelet finds credentials of Docker Hub ("Images", specifying imagePullSecrets on a Pod)."""
_HUB_HOSTS: Final = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})

_MAX_VARIABLE: Final = 128 * 1024
"""Bytes of a variable with its name: MAX_ARG_STRLEN of execve(2)."""
_MAX_SECRET: Final = 1024 * 1024
"""Bytes that a Secret of Kubernetes holds."""


def variables(managed: Managed) -> tuple[dict[str, bytes], list[Problem]]:
    """The contents of the environment's Secret by the names of the Cluster's Secrets.

    Problems are told of those that are missing, or that no variable can hold.
    """
    found: dict[str, bytes] = {}
    problems: list[Problem] = []
    for env in managed.container.env:
        if env.WhichOneof("type") != "from_secret":
            continue
        opened = managed.secrets.get(env.from_secret)
        if opened is None:
            problems.append(_missing(env.from_secret))
            continue
        fault = _fault(opened.data, _MAX_VARIABLE - len(env.name) - 2)
        if fault:
            problems.append(_unusable(opened, f"{fault}: no environment variable can hold it"))
        found[opened.name] = opened.data
    if sum(map(len, found.values())) > _MAX_SECRET:
        problems.append(
            Problem(
                "SecretUnusable",
                "the Secrets of the environment are more than 1 MiB together: "
                "Kubernetes does not hold them",
            )
        )
    return found, problems


def registry_login(managed: Managed) -> tuple[bytes | None, list[Problem]]:
    """What the container's registry is logged in to with, in Docker's format; None if nothing is.

    Without a server it is the registry that the image names.
    """
    login = managed.container.credentials.username_password
    if managed.container.credentials.WhichOneof("type") is None:
        return None, []
    opened = managed.secrets.get(login.password.from_secret)
    if opened is None:
        return None, [_missing(login.password.from_secret)]
    fault = _fault(opened.data, _MAX_VARIABLE)
    if fault:
        return None, [_unusable(opened, f"{fault}: it is no password of a registry")]
    return _docker_config(managed.container.image, login, opened.data), []


def fingerprint(opened: Iterable[Opened], key: Key) -> str:
    """What changes with the contents of a container's Secrets, for an annotation of its Pods.

    Who may see Pods may not see Secrets: guessing one by it costs a scrypt (RFC 7914) each time,
    salted with the Secret's uid. Nothing is kept for it that could be lost, so that the same
    Secrets never roll the Pods. Each Secret is stretched once while the process lives.
    """
    digest = hashlib.sha256("\n".join(key).encode())
    for one in sorted(opened, key=lambda one: one.name):
        stretched = _stretched(one.uid, hashlib.sha256(one.data).digest())
        for part in (one.name.encode(), stretched):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


@lru_cache(maxsize=4096)
def _stretched(uid: str, digest: bytes) -> bytes:
    return hashlib.scrypt(digest, salt=uid.encode(), n=2**14, r=8, p=1, maxmem=2**25, dklen=32)


def _docker_config(
    image: str,
    login: core.ServiceSpecConfigUpstreamContainerCredentialsUsernamePassword,
    password: bytes,
) -> bytes:
    server = login.server or registry_of(image)
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    basic = base64.b64encode(login.username.encode() + b":" + password).decode()
    entry = {"auth": basic, "username": login.username, "password": password.decode()}
    key = _HUB_KEY if host in _HUB_HOSTS else server
    return json.dumps({"auths": {key: entry}}, separators=(",", ":"), sort_keys=True).encode()


def _fault(data: bytes, most: int) -> str:
    """What keeps a Secret from being a text of that many bytes; empty if it is one."""
    if len(data) > most:
        return f"is {len(data)} bytes long"
    if b"\0" in data:
        return "holds a NUL byte"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return ""


def _missing(name: str) -> Problem:
    return Problem("SecretMissing", f"there is no Secret {name!r}: create it")


def _unusable(opened: Opened, fault: str) -> Problem:
    return Problem("SecretUnusable", f"the Secret {opened.name!r} {fault}")
