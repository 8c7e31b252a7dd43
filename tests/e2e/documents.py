"""Resources that several end-to-end tests apply."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def service(name: str, url: str, *policies: str, **spec: Any) -> Document:
    """A public HTTP Service."""
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "mode": "HTTP",
            "isPublic": True,
            "authorization": {"policies": list(policies)},
            "config": {"upstream": {"url": url}},
            **spec,
        },
    }


def workload(name: str, *groups: str, **spec: Any) -> Document:
    """A WORKLOAD User."""
    return {
        "kind": "User",
        "metadata": {"name": name},
        "spec": {"type": "WORKLOAD", "groups": list(groups), **spec},
    }


def policy(name: str, *rules: Document) -> Document:
    """A Policy."""
    return {"kind": "Policy", "metadata": {"name": name}, "spec": {"rules": list(rules)}}


def rule(effect: str, condition: str | None = None, **more: Any) -> Document:
    """A rule, matching always or by CEL."""
    matched = {"matchAny": True} if condition is None else {"match": condition}
    return {"effect": effect, "condition": matched, **more}


def credential(name: str, user: str, kind: str = "ACCESS_TOKEN", **spec: Any) -> Document:
    """A Credential."""
    return {
        "kind": "Credential",
        "metadata": {"name": name},
        "spec": {"type": kind, "user": user, "sessionType": "CLIENTLESS", **spec},
    }
