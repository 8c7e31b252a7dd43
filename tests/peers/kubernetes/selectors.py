"""Selectors of labels and of fields, as queries and objects write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.failure import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Labels = dict[str, str]
_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([A-Za-z0-9./_-]+)\s*$")
_EQUALS = re.compile(r"^\s*([A-Za-z0-9./_-]+)\s*(==|=|!=)\s*([A-Za-z0-9._-]*)\s*$")


def labels(text: str) -> Callable[[Labels], bool]:
    """Of the query `labelSelector`. Raises `Failure` 400 for what is none."""
    tests = [_one(part) for part in _parts(text)]
    return lambda given: all(test(given) for test in tests)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def _one(part: str) -> Callable[[Labels], bool]:
    if found := _SET.match(part):
        key, how = found.group(1), found.group(2)
        values = {value.strip() for value in found.group(3).split(",")}
        if how == "in":
            return lambda given: given.get(key) in values
        return lambda given: given.get(key) not in values
    if found := _EXISTS.match(part):
        absent, name = bool(found.group(1)), found.group(2)
        return lambda given: (name in given) != absent
    if found := _EQUALS.match(part):
        key, how, value = found.groups()
        if how == "!=":
            return lambda given: given.get(key) != value
        return lambda given: given.get(key) == value
    raise bad_request(f"unable to parse requirement: {part}")


def fields(text: str, kind: str) -> Callable[[dict[str, Any]], bool]:
    """Of the query `fieldSelector`. Raises `Failure` 400 for fields that a kind does not offer."""
    wanted: list[tuple[str, bool, str]] = []
    for part in text.split(","):
        if not part:
            continue
        found = re.match(r"^([^=!]+)(==|=|!=)(.*)$", part)
        if found is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        path, how, value = found.groups()
        if path not in ("metadata.name", "metadata.namespace") and path not in _FIELDS.get(
            kind, ()
        ):
            if kind in _FIELDS:
                raise bad_request(f"field label not supported: {path}")
            raise bad_request(
                f'"{path}" is not a known field selector: only "metadata.name",'
                ' "metadata.namespace"'
            )
        wanted.append((path, how == "!=", value))

    def matches(given: dict[str, Any]) -> bool:
        return all((_at(given, path) == value) != no for path, no, value in wanted)

    return matches


_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
    ),
    "Event": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "Secret": ("type",),
    "Namespace": ("status.phase",),
    "ReplicaSet": ("status.replicas",),
    "Service": ("spec.clusterIP", "spec.type"),
}


def _at(given: Any, path: str) -> str:
    for name in path.split("."):
        given = given.get(name) if isinstance(given, dict) else None
    if isinstance(given, bool):
        return "true" if given else "false"
    return "" if given is None or isinstance(given, dict) else str(given)


def of_object(selector: dict[str, Any] | None, given: Labels) -> bool:
    """Whether a LabelSelector of an object matches labels. None matches nothing, {} everything."""
    if selector is None:
        return False
    if any(given.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for one in selector.get("matchExpressions") or ():
        key, values = one["key"], one.get("values", ())
        here = given.get(key)
        good = {
            "In": here in values,
            "NotIn": here not in values,
            "Exists": here is not None,
            "DoesNotExist": here is None,
        }[one["operator"]]
        if not good:
            return False
    return True
