"""Scopes: what a Session may do at most, whatever its policies allow.

Texts are of the forms `service:*`, `service:SVC` (Namespace `default`), `service:SVC.NS`,
`service:NS/*`, `api:*`, `api:API`, `api:API.SERVICE`, `api:API.SERVICE/METHOD`, where `API` is a
package of the Octelium API such as `core`, or `ext` for this Cluster's own extension of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_SCOPES = 128
MAX_LENGTH = 256

_FORMS = (
    "service:*, service:SVC, service:SVC.NS, service:NS/*, "
    "api:*, api:API, api:API.SERVICE or api:API.SERVICE/METHOD"
)
_NAME = r"[a-z](?!.*--)[a-z0-9-]{0,38}[a-z0-9]"
_SERVICE = re.compile(rf"({_NAME})(?:\.({_NAME}))?")
_NAMESPACE = re.compile(rf"({_NAME})/\*")
_API = re.compile(r"([a-z][a-z0-9]*)(?:\.([A-Z][A-Za-z0-9]*)(?:/([A-Z][A-Za-z0-9]*))?)?")


class ScopeError(ValueError):
    """A list of scopes that cannot be read; the text says which scope and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One gRPC method of the Cluster's own API: `octelium.api.main.core.v1`, `MainService`, …."""

    package: str
    service: str
    method: str


def parse_scopes(texts: Sequence[str]) -> list[core.Scope]:
    """Scopes of a new Session, from the texts of an authentication request.

    An empty list is invalid: a caller that was given no scopes at all does not ask.

    Raises:
        ScopeError: too many, too long, repeated, or of no known form.
    """
    if not texts:
        raise ScopeError("the list of scopes is empty; leave it out to ask for no restriction")
    if len(texts) > MAX_SCOPES:
        raise ScopeError(f"{len(texts)} scopes; at most {MAX_SCOPES} are allowed")
    if len(set(texts)) != len(texts):
        raise ScopeError("a scope is given more than once")
    return [_parse(text) for text in texts]


def _parse(text: str) -> core.Scope:
    if not text.isascii() or not text.isprintable() or len(text) > MAX_LENGTH:
        raise ScopeError(f"a scope must be at most {MAX_LENGTH} printable ASCII characters")
    kind, _, rest = text.partition(":")
    scope: core.Scope | None = None
    if kind == "service":
        scope = _service_scope(rest)
    elif kind == "api":
        scope = _api_scope(rest)
    if scope is None:
        raise ScopeError(f"{text!r} is no scope; write {_FORMS}")
    return scope


def _service_scope(rest: str) -> core.Scope | None:
    if rest == "*":
        return core.Scope(service=core.ScopeService(all=core.ScopeServiceAll()))
    if match := _SERVICE.fullmatch(rest):
        names, namespaces = match[1], match[2] or "default"
    elif match := _NAMESPACE.fullmatch(rest):
        names, namespaces = "*", match[1]
    else:
        return None
    chosen = core.ScopeServiceFilter(names=[names], namespaces=[namespaces])
    return core.Scope(service=core.ScopeService(filter=chosen))


def _api_scope(rest: str) -> core.Scope | None:
    if rest == "*":
        return core.Scope(api=core.ScopeApi(all=core.ScopeApiAll()))
    match = _API.fullmatch(rest)
    if match is None:
        return None
    package = "octelium.ext.v1" if match[1] == "ext" else f"octelium.api.main.{match[1]}.v1"
    chosen = core.ScopeApiFilter(
        packages=[package], services=[match[2] or "*"], methods=[match[3] or "*"]
    )
    return core.Scope(api=core.ScopeApi(filter=chosen))


def describe_scopes(scopes: Iterable[core.Scope]) -> list[str]:
    """The texts of a Session's scopes, as `parse_scopes` reads them."""
    return [text for scope in scopes for text in _describe(scope)]


def _describe(scope: core.Scope) -> list[str]:
    if scope.HasField("service"):
        if scope.service.HasField("all"):
            return ["service:*"]
        chosen = scope.service.filter
        return [
            f"service:{_service_text(name, namespace)}"
            for name in chosen.names
            for namespace in chosen.namespaces
        ]
    if scope.api.HasField("all"):
        return ["api:*"]
    wanted = scope.api.filter
    return [
        f"api:{_api_text(package, service, method)}"
        for package in wanted.packages
        for service in wanted.services
        for method in wanted.methods
    ]


def _service_text(name: str, namespace: str) -> str:
    if name == "*":
        return "*" if namespace == "*" else f"{namespace}/*"
    return name if "." in name else f"{name}.{namespace}"


def _api_text(package: str, service: str, method: str) -> str:
    text = package.removeprefix("octelium.api.main.").removeprefix("octelium.").removesuffix(".v1")
    if service != "*":
        text += f".{service}"
        if method != "*":
            text += f"/{method}"
    return text


def covers(
    scopes: Iterable[core.Scope], service: str, namespace: str, api: ApiCall | None = None
) -> bool:
    """Whether one of `scopes` covers a request.

    `service` is the Service's full name (`wiki.default`), `namespace` its Namespace's name. `api`
    is given for gRPC requests to a managed Service of type `apiserver` in the Namespace
    `octelium-api`, and for no others. Not to be asked about a Session without scopes, which is
    not restricted by any.
    """
    return any(_covers(scope, service, namespace, api) for scope in scopes)


def _covers(scope: core.Scope, service: str, namespace: str, api: ApiCall | None) -> bool:
    if scope.HasField("service"):
        if scope.service.HasField("all"):
            return True
        chosen = scope.service.filter
        names = chosen.names
        named = "*" in names or service in names or service.removesuffix(f".{namespace}") in names
        return named and ("*" in chosen.namespaces or namespace in chosen.namespaces)
    if scope.HasField("api") and api is not None:
        if scope.api.HasField("all"):
            return True
        wanted = scope.api.filter
        return (
            _listed(wanted.packages, api.package)
            and _listed(wanted.services, api.service)
            and _listed(wanted.methods, api.method)
        )
    return False


def _listed(texts: Sequence[str], text: str) -> bool:
    return "*" in texts or text in texts
