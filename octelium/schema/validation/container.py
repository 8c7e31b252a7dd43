"""Managed containers: what Kubernetes would refuse of them is refused when it is applied.

The rules are those of the reference of the Kubernetes API for Container, EnvVar, VolumeMount,
Probe and SecurityContext, in the strictest form of the versions 1.29 to 1.34.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from octelium.schema.containers import CAPABILITIES, MAX_OF_SERVICE, OBJECT_PREFIX
from octelium.schema.errors import Invalid
from octelium.schema.images import check_image, is_registry, registry_fault, registry_of
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.quantities import Quantity, parse_quantity
from octelium.schema.validation.rules import Validator, rule, text_rule

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_RESOURCES: Final = 100
_VARIABLE: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_SUBDOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_QUALIFIED: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_MAX_DOMAIN: Final = 240
_REPOSITORY: Final = re.compile(r"(?:/[A-Za-z0-9._-]+)*/?")
_KERNELS: Final = ("/proc", "/sys")


@text_rule("image")
def image(value: str, path: str) -> None:
    """The name of a container image."""
    try:
        check_image(value)
    except ValueError as error:
        raise Invalid(path, str(error), "write it as in nginx:1.29 or ghcr.io/o/x:v1") from None
    _check_reach(registry_of(value), path)


@text_rule("variable")
def variable(value: str, path: str) -> None:
    """The name of an environment variable."""
    if _VARIABLE.fullmatch(value) is None or _climbs(value):
        raise Invalid(
            path,
            f"{value!r} is not the name of a variable",
            "letters, digits, _, - and . are allowed, no digit first",
        )


@text_rule("subdomain")
def subdomain(value: str, path: str) -> None:
    """The name of an object of Kubernetes: a DNS subdomain (RFC 1123)."""
    if _SUBDOMAIN.fullmatch(value) is None:
        raise Invalid(
            path,
            f"{value!r} is not the name of an object of Kubernetes",
            "lower-case letters, digits, - and . are allowed",
        )


@text_rule("kubernetes secret")
def kubernetes_secret(value: str, path: str) -> None:
    """The name of a Secret of Kubernetes that the controller did not make."""
    subdomain(value, path)
    if value.startswith(OBJECT_PREFIX):
        raise Invalid(
            path,
            f"{value!r} is a name of the Cluster's own objects",
            f"choose one that does not begin with {OBJECT_PREFIX}",
        )


@text_rule("secret key")
def secret_key(value: str, path: str) -> None:
    """A key of a Secret of Kubernetes."""
    if _KEY.fullmatch(value) is None or _climbs(value):
        raise Invalid(
            path,
            f"{value!r} is not a key of a Kubernetes Secret",
            "letters, digits, _, - and . are allowed",
        )


@text_rule("registry")
def registry(value: str, path: str) -> None:
    """A registry of images, with or without scheme, port and path."""
    bare = value.removeprefix("https://").removeprefix("http://")
    host, slash, repository = bare.partition("/")
    if not is_registry(host) or _REPOSITORY.fullmatch(slash + repository) is None:
        raise Invalid(path, f"{value!r} is not a registry", "write it as in ghcr.io or h.test:5000")
    _check_reach(value, path)


@text_rule("basic user")
def basic_user(value: str, path: str) -> None:
    """A user-id of HTTP's Basic scheme (RFC 7617, section 2), which has no colon."""
    if ":" in value or not value.isprintable():
        raise Invalid(path, f"{value!r} is not the name of a user", "it may hold no colon")


@text_rule("capability")
def capability(value: str, path: str) -> None:
    """A capability of Linux without its CAP_ prefix, or ALL."""
    if value not in CAPABILITIES and value != "ALL":
        bare = value.upper().removeprefix("CAP_")
        remedy = f"write {bare}" if bare in CAPABILITIES else "write a name such as NET_ADMIN"
        raise Invalid(path, f"{value!r} is not a capability", remedy)


@text_rule("mount path")
def mount_path(value: str, path: str) -> None:
    """Where a volume is mounted; the root and the kernel's own file systems are no places."""
    if not value.startswith("/") or not value.isprintable():
        raise Invalid(path, f"{value!r} is not an absolute path", "begin it with /")
    if ":" in value:
        raise Invalid(path, f"{value!r} holds a colon", "choose another path")
    if {".", ".."} & set(value.split("/")):
        raise Invalid(path, f"{value!r} is not canonical", "write it without . and ..")
    place = _canonical(value)
    if place == "/" or any(place == top or place.startswith(f"{top}/") for top in _KERNELS):
        raise Invalid(path, f"nothing can be mounted at {value!r}", "choose another path")


@text_rule("sub path")
def sub_path(value: str, path: str) -> None:
    """A place within a volume."""
    if not value.isprintable():
        raise Invalid(path, "holds a control character")
    if value.startswith("/") or ".." in value.split("/"):
        raise Invalid(path, f"{value!r} leaves the volume", "write a relative path without ..")


@rule(core.Service)
def check_count(service: core.Service, _path: str, _validator: Validator) -> None:
    """A Service has no more containers than the controller keeps of one."""
    count = int(service.spec.config.upstream.HasField("container"))
    for index, config in enumerate(service.spec.dynamic_config.configs):
        count += config.upstream.HasField("container")
        if count > MAX_OF_SERVICE:
            raise Invalid(
                f"spec.dynamicConfig.configs[{index}].upstream.container",
                f"is one more than the {MAX_OF_SERVICE} containers that a Service may have",
                "make a further Service for it",
            )


@rule(core.ServiceSpecConfigUpstreamContainer)
def check_container(
    container: core.ServiceSpecConfigUpstreamContainer, path: str, _validator: Validator
) -> None:
    """Names and places within a container are unique, and what is mounted is declared."""
    _check_unique((env.name for env in container.env), f"{path}.env")
    _check_unique((volume.name for volume in container.volumes), f"{path}.volumes")
    declared = {volume.name for volume in container.volumes}
    places: set[str] = set()
    for index, mount in enumerate(container.volume_mounts):
        if mount.name not in declared:
            place = f"{path}.volumeMounts[{index}].name"
            raise Invalid(place, f"there is no volume {mount.name!r}", "declare it in volumes")
        if _canonical(mount.mount_path) in places:
            place = f"{path}.volumeMounts[{index}].mountPath"
            raise Invalid(place, f"{mount.mount_path!r} is given twice", "choose another path")
        places.add(_canonical(mount.mount_path))
    if container.liveness_probe.success_threshold > 1:
        raise Invalid(
            f"{path}.livenessProbe.successThreshold",
            "can only be 1",
            "remove it; a readinessProbe may have more",
        )


@rule(core.ServiceSpecConfigUpstreamContainerResourceLimit)
def check_resources(
    limit: core.ServiceSpecConfigUpstreamContainerResourceLimit, path: str, _validator: Validator
) -> None:
    """Further resources have names that a container may ask for, and whole amounts."""
    if len(limit.ext) > _MAX_RESOURCES:
        raise Invalid(
            f"{path}.ext",
            f"has {len(limit.ext)} entries",
            f"at most {_MAX_RESOURCES} are allowed",
        )
    for name in sorted(limit.ext):
        place = f'{path}.ext["{name}"]'
        try:
            amount = parse_quantity(limit.ext[name])
        except ValueError as error:
            raise Invalid(place, str(error), "write it as in 2 or 1Gi") from None
        _check_resource(name, amount, place)


def _check_resource(name: str, amount: Quantity, path: str) -> None:
    domain, slash, rest = name.rpartition("/")
    if slash:
        sound = _SUBDOMAIN.fullmatch(domain) is not None and len(domain) <= _MAX_DOMAIN
        own = domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
        if sound and not own and _QUALIFIED.fullmatch(rest):
            return
    elif name in {"cpu", "memory"}:
        raise Invalid(path, "has a field of its own", f"write resourceLimit.{name}")
    elif name == "ephemeral-storage":
        return
    elif name.startswith("hugepages-"):
        try:
            page = parse_quantity(name.removeprefix("hugepages-"))
        except ValueError:
            page = Quantity(0)
        if page.value and amount.value % page.value == 0:
            return
    raise Invalid(
        path,
        "is not a resource that a container may ask for",
        "write the name that a device plugin gives it, such as nvidia.com/gpu",
    )


def _check_reach(server: str, path: str) -> None:
    if fault := registry_fault(server):
        raise Invalid(
            path, fault, "use a registry that is found by a public name or a private address"
        )


def _check_unique(found: Iterable[str], path: str) -> None:
    names: set[str] = set()
    for index, name in enumerate(found):
        if name in names:
            raise Invalid(f"{path}[{index}].name", f"{name!r} is given twice")
        names.add(name)


def _canonical(path: str) -> str:
    return posixpath.normpath(f"/{path.lstrip('/')}")


def _climbs(name: str) -> bool:
    return name == "." or name.startswith("..")
