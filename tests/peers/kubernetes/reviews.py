"""What people ask about themselves: SelfSubjectAccessReview, -RulesReview and -Review."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.access import Attempt

if TYPE_CHECKING:
    from tests.peers.kubernetes.access import Access, User

Object = dict[str, Any]


def review(kind: str, body: Object, access: Access, user: User) -> Object | None:
    """The review with its status; None for a kind that is none. `kind` is the plural."""
    if kind == "selfsubjectaccessreviews":
        return body | {"status": _access(body.get("spec", {}), access, user)}
    if kind == "selfsubjectrulesreviews":
        namespace = body.get("spec", {}).get("namespace", "")
        rules = access.rules_of(user, namespace)
        return body | {
            "status": {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
        }
    if kind == "selfsubjectreviews":
        return body | {"status": {"userInfo": {"username": user.name, "groups": list(user.groups)}}}
    return None


def _access(spec: Object, access: Access, user: User) -> Object:
    asked = spec.get("resourceAttributes")
    if asked is None:
        plain = spec.get("nonResourceAttributes", {})
        attempt = Attempt(plain.get("verb", ""), path=plain.get("path", ""))
    else:
        attempt = Attempt(
            asked.get("verb", ""),
            asked.get("group", ""),
            asked.get("resource", ""),
            asked.get("subresource", ""),
            asked.get("namespace", ""),
            asked.get("name", ""),
        )
    return {"allowed": access.allows(user, attempt)}
