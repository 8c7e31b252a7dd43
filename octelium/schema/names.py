"""Names of resources, and the host names that follow from a Service's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from octelium.schema.errors import Invalid

if TYPE_CHECKING:
    from octelium.schema.kinds import Kind

DEFAULT_NAMESPACE = "default"
DEFAULT_REGION = "default"

LABEL = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,38}[a-z0-9]")
"""One label of a name: 2 to 40 lower-case letters, digits and single hyphens; a letter first."""

LABEL_VALUE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""The value of a metadata label."""

CERTIFICATE_PREFIX = "crt-ns-"
"""Begins the names of the Secrets that hold the certificates of the Cluster's Namespaces."""

SYSTEM_PREFIX = "sys:"
"""Begins names of the Cluster's own objects; no caller can choose one, for the colon."""

_STORED_PART = re.compile(r"[a-z0-9][a-z0-9-:]{0,52}[a-z0-9]")
_MAX_NAME = 128
_PARENTS = {"Service": 1, "Policy": 5}
LABEL_RULE = "2 to 40 lower-case letters, digits and single hyphens, beginning with a letter"


def check_name(kind: Kind, name: str, *, path: str = "metadata.name") -> None:
    """Refuse a name that the API does not accept for a kind.

    A Service may have one parent label (its Namespace), a Policy five, other kinds none. Raises
    Invalid at `path`.
    """
    if not name:
        raise Invalid(path, "a name is missing", f"give {LABEL_RULE}")
    labels = name.split(".")
    most = _PARENTS.get(kind.name, 0)
    if len(labels) - 1 > most:
        allowed = {0: "no dot", 1: "at most one dot"}.get(most, f"at most {most} dots")
        raise Invalid(path, f"{name[:_MAX_NAME]!r} has too many labels", f"write {allowed}")
    if len(name) > _MAX_NAME:
        raise Invalid(path, f"the name is longer than {_MAX_NAME} characters")
    for label in labels:
        if LABEL.fullmatch(label) is None:
            raise Invalid(path, f"{name!r} is not a valid name", f"each label: {LABEL_RULE}")


def is_label(text: str) -> bool:
    """Whether a text is one label of a name."""
    return LABEL.fullmatch(text) is not None


def is_reserved(kind: str, name: str) -> bool:
    """Whether only the Cluster itself may give this name, and nothing may refer to it."""
    return name.startswith(SYSTEM_PREFIX) or (
        kind == "Secret" and name.startswith(CERTIFICATE_PREFIX)
    )


def check_not_reserved(kind: Kind, name: str, *, path: str = "metadata.name") -> None:
    """Refuse the name of a new resource that belongs to the Cluster. Raises Invalid at `path`.

    Whoever could make a Secret `crt-ns-…` would answer for every host name of the Cluster.
    """
    if is_reserved(kind.name, name):
        problem = f"{name[:_MAX_NAME]!r} is a name of the Cluster's own {kind.plural}"
        remedy = "choose another name"
        if name.startswith(CERTIFICATE_PREFIX):
            remedy += "; `octops cert` installs a certificate"
        raise Invalid(path, problem, remedy)


def is_stored_name(name: str) -> bool:
    """Whether the store accepts a name: the Cluster's own objects have wider ones (`sys:x`)."""
    parts = name.split(".")
    return (
        2 <= len(name) <= 140
        and len(parts) <= 7
        and all(_STORED_PART.fullmatch(part) for part in parts)
    )


def full_service_name(name: str) -> str:
    """The stored form of a Service's name: `wiki` is `wiki.default`."""
    return name if "." in name else f"{name}.{DEFAULT_NAMESPACE}"


def split_service_name(name: str) -> tuple[str, str]:
    """A Service's own label and its Namespace: `wiki.prod` is `("wiki", "prod")`."""
    label, _, namespace = full_service_name(name).partition(".")
    return label, namespace


def parent_policy_name(name: str) -> str | None:
    """The Policy above a dotted one: `eu.staff` has the parent `staff`."""
    return name.partition(".")[2] or None


def hostnames(name: str, namespace: str) -> tuple[str, list[str]]:
    """The primary and the additional host names of a Service, relative to the Cluster's domain.

    `default` in `default` has the empty primary name: the domain itself.
    """
    full = f"{name}.{namespace}"
    if namespace == DEFAULT_NAMESPACE:
        return ("" if name == DEFAULT_NAMESPACE else name), [full]
    if name == DEFAULT_NAMESPACE:
        return namespace, [full]
    return full, []


HOST_LABEL: Final = "host-user-"
"""Prefix of the labels of a Service that name who serves it; their values are uids of Users."""


def public_fqdn(service_name: str, domain: str) -> str:
    """The shortest public host name of a Service, used in links and redirects."""
    primary, _ = hostnames(*split_service_name(service_name))
    return f"{primary}.{domain}" if primary else domain


def public_hosts(service_name: str, domain: str) -> tuple[str, ...]:
    """Every public host name that a Service answers, the shortest first."""
    primary, additional = hostnames(*split_service_name(service_name))
    prefixes = (primary, *additional)
    return tuple(f"{prefix}.{domain}" if prefix else domain for prefix in prefixes)


def private_fqdn(service_name: str, domain: str) -> str:
    """The host name of a Service inside the Cluster's private network."""
    name, namespace = split_service_name(service_name)
    prefix = name if namespace == DEFAULT_NAMESPACE else f"{name}.{namespace}"
    return f"{prefix}.local.{domain}"
