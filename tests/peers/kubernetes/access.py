"""Who asks (bearer tokens) and what they may do (RBAC), from objects and from the test's table.

Kubernetes documentation, "Using RBAC Authorization".
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.failure import Failure
from tests.peers.kubernetes.resources import of_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.peers.kubernetes.store import Store

ADMINISTRATORS = "system:masters"
_PUBLIC = ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz")
_SELF = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")


@dataclass(frozen=True, slots=True)
class User:
    """A person or a service account."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody wants to do."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def whole(self) -> str:
        """Resource and subresource, as rules write them."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Rule:
    """Of the test's own table; like a rule of a Role, "" for cluster-wide."""

    user: str
    namespace: str
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class Access:
    """Tokens and rules."""

    store: Store
    tokens: dict[str, User] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)

    def issue(self, user: str, *groups: str) -> str:
        """A new bearer token."""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = User(user, groups)
        return token

    def issue_for_account(self, namespace: str, name: str) -> str:
        """A new token of a service account."""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        return self.issue(f"system:serviceaccount:{namespace}:{name}", *groups)

    def revoke(self, token: str) -> None:
        """The token is worth nothing from now on."""
        self.tokens.pop(token, None)

    def user(self, header: str) -> User:
        """Of an Authorization header. Raises `Failure` 401."""
        if not header:
            return User("system:anonymous", ("system:unauthenticated",))
        scheme, _, token = header.partition(" ")
        found = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Failure(401, "Unauthorized", "Unauthorized")
        return User(found.name, (*found.groups, "system:authenticated"))

    def allows(self, user: User, attempt: Attempt) -> bool:
        """Whether some rule allows it."""
        if ADMINISTRATORS in user.groups:
            return True
        authenticated = "system:authenticated" in user.groups
        if attempt.path:
            return attempt.verb == "get" and (
                attempt.path in ("/version", "/healthz", "/livez", "/readyz")
                or (authenticated and attempt.path.startswith(_PUBLIC))
            )
        if attempt.resource in _SELF:
            return authenticated and attempt.verb == "create"
        return any(_covers(rule, attempt) for rule in self._rules(user, attempt.namespace))

    def _rules(self, user: User, namespace: str) -> Iterable[dict[str, Any]]:
        for one in self.rules:
            if one.user == user.name and one.namespace in ("", namespace):
                yield {
                    "apiGroups": one.groups,
                    "resources": one.resources,
                    "verbs": one.verbs,
                    "resourceNames": one.names,
                }
        if not namespace:
            return
        for binding in self.store.all(of_kind("RoleBinding"), namespace):
            if any(_is(subject, user, namespace) for subject in binding.get("subjects") or ()):
                reference = binding["roleRef"]
                role = self.store.get(of_kind("Role"), namespace, reference["name"])
                if reference["kind"] == "Role" and role is not None:
                    yield from role.get("rules") or ()

    def rules_of(self, user: User, namespace: str) -> list[dict[str, Any]]:
        """For SelfSubjectRulesReview."""
        if ADMINISTRATORS in user.groups:
            return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        return [
            {key: list(value) for key, value in rule.items() if value}
            for rule in self._rules(user, namespace)
        ]


def _is(subject: dict[str, Any], user: User, namespace: str) -> bool:
    kind, name = subject["kind"], subject["name"]
    if kind == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace', namespace)}:{name}"
    return name == user.name if kind == "User" else name in user.groups


def _covers(rule: dict[str, Any], attempt: Attempt) -> bool:
    def has(values: Iterable[str], value: str) -> bool:
        return "*" in values or value in values

    resources = rule.get("resources") or ()
    named = rule.get("resourceNames") or ()
    return (
        has(rule.get("verbs") or (), attempt.verb)
        and has(rule.get("apiGroups") or (), attempt.group)
        and (
            has(resources, attempt.whole)
            or bool(attempt.subresource and f"*/{attempt.subresource}" in resources)
        )
        and (not named or attempt.name in named)
    )


def refused(user: User, attempt: Attempt) -> Failure:
    """403 of somebody who may not."""
    if attempt.path:
        message = f'forbidden: User "{user.name}" cannot {attempt.verb} path "{attempt.path}"'
        return Failure(403, "Forbidden", message, {})
    qualified = f"{attempt.resource}.{attempt.group}" if attempt.group else attempt.resource
    named = f' "{attempt.name}"' if attempt.name else ""
    where = (
        f' in the namespace "{attempt.namespace}"' if attempt.namespace else " at the cluster scope"
    )
    message = (
        f'{qualified}{named} is forbidden: User "{user.name}" cannot {attempt.verb} resource'
        f' "{attempt.whole}" in API group "{attempt.group}"{where}'
    )
    details = {"name": attempt.name, "group": attempt.group, "kind": attempt.resource}
    return Failure(403, "Forbidden", message, {k: v for k, v in details.items() if v})
