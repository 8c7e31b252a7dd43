"""Names of container images: `[registry/]path[:tag][@digest]`.

The grammar is that of "Pulling manifests" in the specification of OCI distribution, with a registry
before it as container runtimes read it.
"""

from __future__ import annotations

import re
from typing import Final

DOCKER_HUB: Final = "docker.io"
"""The registry of images that name none."""

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_HOST_PART = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PATH: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_REGISTRY: Final = re.compile(
    rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[0-9a-fA-F:.]+\])(?::([0-9]{{1,5}}))?"
)


def check_image(image: str) -> None:
    """Refuse what no container runtime takes for an image. Raises ValueError, for people."""
    if image != image.strip() or not image:
        raise ValueError(f"{image!r} is not the name of an image")
    rest, at, digest = image.partition("@")
    if at and _DIGEST.fullmatch(digest) is None:
        raise ValueError(f"{digest!r} is not a digest, which begins with sha256:")
    registry, path = _split(rest)
    if registry and not is_registry(registry):
        raise ValueError(f"{registry!r} is not a registry")
    path, colon, tag = path.partition(":")
    if colon and _TAG.fullmatch(tag) is None:
        raise ValueError(f"{tag!r} is not a tag")
    if path != path.lower():
        raise ValueError(f"{path!r} is not in lower case")
    if _PATH.fullmatch(path) is None:
        raise ValueError(f"{path!r} is not the path of an image")


def is_registry(text: str) -> bool:
    """Whether a text is the host of a registry, with or without a port."""
    found = _REGISTRY.fullmatch(text)
    return found is not None and (found[1] is None or 0 < int(found[1]) <= 65535)


def registry_of(image: str) -> str:
    """The registry that an image comes from; one that names none comes from Docker Hub."""
    return _split(image.partition("@")[0])[0] or DOCKER_HUB


def moves(image: str) -> bool:
    """Whether the name may come to mean another image: tag `latest`, written or implied."""
    rest, at, _ = image.partition("@")
    tag = _split(rest)[1].partition(":")[2]
    return not at and tag in {"", "latest"}


def _split(rest: str) -> tuple[str, str]:
    """Registry and path: what stands before the first slash is a registry if it looks like one."""
    first, slash, path = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, path
    return "", rest
