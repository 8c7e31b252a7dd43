"""What the server says it has: groups, resources, aggregated discovery, OpenAPI, version."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.peers.kubernetes.resources import RESOURCES, Resource
from tests.peers.kubernetes.schema import VERSION, definitions

Object = dict[str, Any]
AGGREGATED = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_REVIEWS = {
    ("authorization.k8s.io", "v1"): (
        ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
        ("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    ),
    ("authentication.k8s.io", "v1"): (("selfsubjectreviews", "SelfSubjectReview"),),
}
_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


def version() -> Object:
    """At /version."""
    major, _, minor = VERSION.partition(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{VERSION}.2",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2025-01-01T00:00:00Z",
        "goVersion": "go1.24",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def groups() -> list[tuple[str, str]]:
    """Named groups with their version."""
    found = dict.fromkeys((one.group, one.version) for one in RESOURCES if one.group)
    return [*found, *_REVIEWS]


def legacy() -> Object:
    """At /api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group_list() -> Object:
    """At /apis."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [group(name) for name, _ in groups()],
    }


def group(name: str) -> Object:
    """At /apis/GROUP. Raises KeyError."""
    one = dict(groups())[name]
    said = {"groupVersion": f"{name}/{one}", "version": one}
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": [said],
        "preferredVersion": said,
    }


def resource_list(name: str, version: str) -> Object:
    """At /api/v1 and /apis/GROUP/VERSION. Raises KeyError."""
    if name and (name, version) not in groups():
        raise KeyError(name)
    listed: list[Object] = []
    for one in _of(name, version):
        entry: Object = {
            "name": one.plural,
            "singularName": one.singular,
            "namespaced": one.namespaced,
            "kind": one.kind,
            "verbs": list(one.verbs),
        }
        if one.short:
            entry["shortNames"] = list(one.short)
        if one.categories:
            entry["categories"] = list(one.categories)
        listed.append(entry)
        listed += [
            {
                "name": f"{one.plural}/{sub}",
                "singularName": "",
                "namespaced": one.namespaced,
                **_kind_of(one, sub),
                "verbs": _verbs_of(sub),
            }
            for sub in one.subresources
        ]
    for plural, kind in _REVIEWS.get((name, version), ()):
        listed.append(
            {
                "name": plural,
                "singularName": kind.lower(),
                "namespaced": False,
                "kind": kind,
                "verbs": ["create"],
            }
        )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{name}/{version}" if name else version,
        "resources": listed,
    }


def _of(name: str, version: str) -> list[Resource]:
    return [one for one in RESOURCES if (one.group, one.version) == (name, version)]


def _verbs_of(sub: str) -> list[str]:
    if sub == "token":
        return ["create"]
    return ["get"] if sub == "log" else ["get", "patch", "update"]


def _kind_of(one: Resource, sub: str) -> Object:
    if sub == "scale":
        return {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    if sub == "token":
        return {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}
    return {"kind": one.kind}


def aggregated(root: str) -> Object:
    """At /api and /apis for clients that ask for all at once."""
    wanted = [("", "v1")] if root == "api" else groups()
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name, "creationTimestamp": None} if name else {},
                "versions": [
                    {
                        "version": version,
                        "freshness": "Current",
                        "resources": _aggregated_resources(name, version),
                    }
                ],
            }
            for name, version in wanted
        ],
    }


def _aggregated_resources(name: str, version: str) -> list[Object]:
    made = []
    for one in _of(name, version):
        entry: Object = {
            "resource": one.plural,
            "responseKind": {"group": one.group, "version": one.version, "kind": one.kind},
            "scope": "Namespaced" if one.namespaced else "Cluster",
            "singularResource": one.singular,
            "verbs": list(one.verbs),
            "shortNames": list(one.short),
            "categories": list(one.categories),
            "subresources": [
                {
                    "subresource": sub,
                    "responseKind": {
                        "group": one.group,
                        "version": one.version,
                        "kind": one.kind,
                        **_kind_of(one, sub),
                    },
                    "verbs": _verbs_of(sub),
                }
                for sub in one.subresources
            ],
        }
        made.append(entry)
    for plural, kind in _REVIEWS.get((name, version), ()):
        made.append(
            {
                "resource": plural,
                "responseKind": {"group": name, "version": version, "kind": kind},
                "scope": "Cluster",
                "singularResource": kind.lower(),
                "verbs": ["create"],
            }
        )
    return made


def openapi_paths() -> Object:
    """At /openapi/v3."""
    found = {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=1"}}
    for name, version in groups():
        path = f"apis/{name}/{version}"
        found[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash=1"}
    return {"paths": found}


def openapi(name: str, version: str) -> Object:
    """At /openapi/v3/...: the ways to write each kind, without schemas of objects."""
    paths: Object = {}
    root = f"/apis/{name}/{version}" if name else f"/api/{version}"
    parameters = [
        {"name": one, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for one in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    for one in _of(name, version):
        place = f"{root}/namespaces/{{namespace}}" if one.namespaced else root
        meant = {"group": one.group, "kind": one.kind, "version": one.version}
        paths[f"{place}/{one.plural}/{{name}}"] = {
            "patch": {
                "parameters": parameters,
                "requestBody": {"content": {sort: {} for sort in _PATCHES}},
                "responses": {},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": meant,
            },
            "put": {
                "parameters": parameters,
                "responses": {},
                "x-kubernetes-action": "put",
                "x-kubernetes-group-version-kind": meant,
            },
        }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": _schemas(name, version)},
    }


@cache
def _schemas(name: str, version: str) -> Object:
    """The kinds of a group and all that they are made of, with references as OpenAPI has them."""
    everything = definitions()
    kinds = {(one.group, one.version, one.kind) for one in _of(name, version)}
    left = [
        key
        for key, given in everything.items()
        if any(
            (one["group"], one["version"], one["kind"]) in kinds
            for one in given.get("x-kubernetes-group-version-kind", ())
        )
    ]
    made: Object = {}
    while left:
        key = left.pop()
        if key in made:
            continue
        made[key] = _rewritten(everything[key], left)
    return made


def _rewritten(given: Any, left: list[str]) -> Any:
    if isinstance(given, list):
        return [_rewritten(one, left) for one in given]
    if not isinstance(given, dict):
        return given
    made = {}
    for key, value in given.items():
        if key == "$ref" and isinstance(value, str):
            target = value.removeprefix("#/$defs/")
            left.append(target)
            made[key] = f"#/components/schemas/{target}"
        elif key == "type" and isinstance(value, list):
            made[key] = next(one for one in value if one != "null")
        elif key in ("description", "additionalProperties") and not isinstance(value, dict):
            continue
        else:
            made[key] = _rewritten(value, left)
    return made
