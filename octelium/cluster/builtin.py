"""The objects that every Cluster starts with.

They are made at the first start; `seeding` brings those of an earlier version to this one. Who
edits or deletes what does not belong to the system is right. Names and contents follow the public
documentation of Octelium ("First steps", "Policies"), save that the demonstration page is answered
by Vigil itself, where Octelium deploys a container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from google.protobuf.message import Message

FIRST_CREDENTIAL = "root-init"

_API = 'ctx.namespace.metadata.name == "octelium-api" && ctx.service.spec.mode == "GRPC"'
_NAME = "ctx.request.grpc.serviceFullName"
_MAIN = "octelium.api.main"
_CORE = f'!({_NAME} in ["{_MAIN}.auth.v1.MainService", "{_MAIN}.user.v1.MainService"])'
_EXT = f'{_NAME} == "octelium.ext.v1.MainService"'
_SELF_DECIDED = (
    f"{_EXT} && ctx.request.grpc.method in "
    '["Apply", "Explain", "ListAccess", "PreviewAccess", "CheckConnection", "Watch", '
    '"ListContainers"]'
)
_READS = (
    'ctx.request.grpc.method.startsWith("Get") || ctx.request.grpc.method.startsWith("List") || '
    f'({_EXT} && ctx.request.grpc.method in ["Explain", "Watch"])'
)
_WEB = 'ctx.service.spec.mode in ["HTTP", "WEB"]'
_SAFE = 'ctx.request.http.method in ["GET", "HEAD", "OPTIONS"]'

_DEMO_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>It works</title>
<style>:root{background:Canvas;color:CanvasText}
body{font:1.1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1.5rem}
h1{font-weight:650}code{background:#8882;padding:.1em .35em;border-radius:.3em}</style>
<main><h1>You are in.</h1>
<p>This page is the Service <code>demo-nginx</code>. Your request was authenticated, decided by
policy and logged; no server stands behind it.</p>
<p>Point it at an application of yours: <code>octeliumctl edit service demo-nginx</code>.</p></main>
</html>
"""


def _rule(
    effect: str, condition: dict[str, object], priority: int = 0, name: str = ""
) -> dict[str, object]:
    rule: dict[str, object] = {"effect": effect, "condition": condition}
    if priority:
        rule["priority"] = priority
    if name:
        rule["name"] = name
    return rule


def _message(kind: str, value: dict[str, object]) -> Message:
    message: Message = from_json(
        KINDS[kind].message, {"kind": kind, "apiVersion": "core/v1", **value}
    )
    return message


def _inline(name: str, *rules: dict[str, object]) -> dict[str, object]:
    return {"inlinePolicies": [{"name": name, "spec": {"rules": list(rules)}}]}


def cluster_config(domain: str) -> Message:
    """The singleton `default`, with the address ranges that tunnels use."""
    v4 = {
        "clusterNetwork": "100.64.0.0/10",
        "serviceSubnet": "100.64.0.0/16",
        "wgConnSubnet": "100.65.0.0/16",
        "quicConnSubnet": "100.66.0.0/16",
    }
    return _message(
        "ClusterConfig",
        {
            "metadata": {"name": "default", "isSystem": True},
            "spec": {},
            "status": {
                "domain": domain,
                "network": {name: {"v4": cidr} for name, cidr in v4.items()},
            },
        },
    )


def region() -> Message:
    """The Region `default`."""
    return _message(
        "Region", {"metadata": {"name": "default", "isSystem": True}, "spec": {}, "status": {}}
    )


def namespaces() -> list[Message]:
    """`default` and the two of the system."""
    return [
        _message(
            "Namespace",
            {
                "metadata": {
                    "name": "default",
                    "isSystem": True,
                    "displayName": "Default Namespace",
                },
                "spec": {},
            },
        ),
        *(
            _message(
                "Namespace",
                {"metadata": {"name": name, "isSystem": True, "isUserHidden": True}, "spec": {}},
            )
            for name in ("octelium", "octelium-api")
        ),
    ]


def users() -> list[Message]:
    """`root`, who has no rights of its own, and the system's own User."""
    return [
        _message("User", {"metadata": {"name": "root"}, "spec": {"type": "WORKLOAD"}}),
        _message(
            "User",
            {"metadata": {"name": "octelium", "isSystem": True}, "spec": {"type": "WORKLOAD"}},
        ),
    ]


def first_credential(expires_at: float) -> core.Credential:
    """`root-init`: whoever signs in with it may do everything, by an explicit policy.

    `expires_at`: unix seconds.
    """
    credential = core.Credential(api_version="core/v1", kind="Credential")
    credential.metadata.name = FIRST_CREDENTIAL
    spec = credential.spec
    spec.type = core.CredentialSpecType__.AUTH_TOKEN
    spec.user = "root"
    spec.session_type = core.SessionStatusType__.CLIENT
    spec.expires_at.FromSeconds(int(expires_at))
    inline = spec.authorization.inline_policies.add(name="first-session-allow-all")
    rule = inline.spec.rules.add(effect=core.PolicySpecRuleEffect__.ALLOW)
    rule.condition.match_any = True
    return credential


def policies() -> list[Message]:
    """The Policies that are there to be attached."""
    specs: dict[str, dict[str, object]] = {
        "allow-all": {"rules": [_rule("ALLOW", {"matchAny": True}, name="main")]},
        "deny-all": {"rules": [_rule("DENY", {"matchAny": True}, name="main")]},
        "octelium-api-full-access": {"rules": [_rule("ALLOW", {"match": _API}, -1)]},
        "octelium-api-read-only": {
            "rules": [
                _rule("ALLOW", {"match": _READS}, -1),
                _rule("DENY", {"matchAny": True}),
            ],
            "enforcementRules": [
                {"effect": "ENFORCE", "condition": {"match": f"{_API} && {_CORE}"}},
                {"effect": "IGNORE", "condition": {"matchAny": True}},
            ],
        },
        "http-read-only": {
            "rules": [_rule("ALLOW", {"match": _SAFE}, -1), _rule("DENY", {"matchAny": True})],
            "enforcementRules": [{"effect": "IGNORE", "condition": {"not": _WEB}}],
        },
    }
    return [
        _message("Policy", {"metadata": {"name": name}, "spec": spec})
        for name, spec in specs.items()
    ]


def services() -> list[Message]:
    """The Services whose modes this version offers."""
    user_api = f'{_NAME} == "{_MAIN}.user.v1.MainService"'
    api_labels = {"octelium-apiserver": "true"}
    main_paths = "/octelium.api.main.core, /octelium.api.main.user, /octelium.ext"
    return [
        _message(
            "Service",
            {
                "metadata": {
                    "name": "default.octelium-api",
                    "isSystem": True,
                    "isUserHidden": True,
                    "systemLabels": {**api_labels, "apiserver-path": main_paths},
                },
                "spec": {
                    "mode": "GRPC",
                    "port": 8080,
                    "isPublic": True,
                    # Apply decides each operation that it contains as a call of its own; the others
                    # do so with every kind of resource that they show.
                    "authorization": _inline(
                        "allow-user-api",
                        _rule("ALLOW", {"match": user_api}),
                        _rule("ALLOW", {"match": _SELF_DECIDED}),
                    ),
                },
                "status": {"managedService": {"type": "apiserver"}},
            },
        ),
        _message(
            "Service",
            {
                "metadata": {
                    "name": "auth.octelium-api",
                    "isSystem": True,
                    "isUserHidden": True,
                    "systemLabels": {**api_labels, "apiserver-path": "/octelium.api.main.auth"},
                },
                "spec": {"mode": "GRPC", "port": 8080, "isPublic": True, "isAnonymous": True},
                "status": {"managedService": {"type": "authapi"}},
            },
        ),
        _message(
            "Service",
            {
                "metadata": {"name": "default.default", "isSystem": True, "isUserHidden": True},
                "spec": {"mode": "WEB", "port": 8080, "isPublic": True, "isAnonymous": True},
                "status": {"managedService": {"type": "authserver"}},
            },
        ),
        _message(
            "Service",
            {
                "metadata": {"name": "portal.default", "isSystem": True, "displayName": "Portal"},
                "spec": {
                    "mode": "WEB",
                    "port": 8080,
                    "isPublic": True,
                    "authorization": _inline(
                        "allow-people", _rule("ALLOW", {"match": 'ctx.user.spec.type == "HUMAN"'})
                    ),
                },
                "status": {"managedService": {"type": "portal"}},
            },
        ),
        _message(
            "Service",
            {
                "metadata": {"name": "dns.octelium", "isSystem": True, "isUserHidden": True},
                "spec": {
                    "mode": "DNS",
                    "port": 53,
                    "authorization": _inline("allow-all", _rule("ALLOW", {"matchAny": True})),
                },
                "status": {"managedService": {"type": "dns"}},
            },
        ),
        _message(
            "Service",
            {
                "metadata": {"name": "demo-nginx.default", "displayName": "Demonstration page"},
                "spec": {
                    "mode": "WEB",
                    "port": 80,
                    "isPublic": True,
                    "authorization": _inline("allow-all", _rule("ALLOW", {"matchAny": True})),
                    "config": {
                        "http": {
                            "response": {
                                "direct": {
                                    "contentType": "text/html; charset=utf-8",
                                    "inline": _DEMO_PAGE,
                                }
                            }
                        }
                    },
                },
            },
        ),
    ]
