from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.values import normalized
from octelium.policy.projection import ALL, Tree, project, tree_of
from octelium.schema.jsonform import from_json, to_json
from octelium.schema.pb import core_v1_pb2 as core

USER: dict[str, Any] = {
    "metadata": {"name": "ann", "uid": "u", "labels": {"team": "blue"}, "tags": ["a", "b"]},
    "spec": {
        "type": "HUMAN",
        "groups": ["ops"],
        "attrs": {"level": 3, "nested": {"x": 1}},
        "authorization": {"policies": ["p"], "inlinePolicies": [{"name": "i", "spec": {}}]},
        "session": {"maxPerUser": 7, "clientDuration": {"hours": 2}},
    },
    "status": {},
}


def message() -> core.User:
    return from_json(core.User, USER)


def tree(*paths: str) -> Tree:
    made = tree_of(frozenset(tuple(path.split(".")) if path else () for path in paths))
    assert made is not None
    return made


def test_trees() -> None:
    assert tree_of(frozenset()) is None
    assert tree("") is ALL
    assert tree("a.b", "a.c", "d") == {"a": {"b": {}, "c": {}}, "d": {}}
    assert tree("a.b", "a") == {"a": {}}
    assert tree("a.b.c", "a.b", "a.d.e") == {"a": {"b": {}, "d": {"e": {}}}}
    assert tree("a", "") is ALL


def test_only_what_is_read_is_converted() -> None:
    assert project(message(), tree("spec.type", "metadata.labels.team")) == {
        "metadata": {"labels": {"team": "blue"}},
        "spec": {"type": "HUMAN"},
    }
    assert project(message(), tree("spec.session.clientDuration.hours")) == {
        "spec": {"session": {"clientDuration": {"hours": 2.0}}}
    }
    assert project(message(), tree("spec.attrs.level"))["spec"]["attrs"]["level"] == 3.0
    assert project(message(), tree("spec.nope", "nope")) == {"spec": {}}
    assert project(message(), tree("spec.type.nope")) == {"spec": {"type": "HUMAN"}}


def test_everything() -> None:
    assert project(message(), ALL) == normalized(to_json(message()))


NAMES = st.sampled_from(
    ["metadata", "spec", "status", "name", "labels", "team", "type", "attrs", "nested", "x",
     "authorization", "policies", "inlinePolicies", "session", "maxPerUser", "clientDuration"]
)  # fmt: skip


def at(form: Any, path: tuple[str, ...]) -> tuple[int, object]:
    """How far a path leads and what stands there."""
    for depth, name in enumerate(path):
        if not isinstance(form, dict) or name not in form:
            return depth, None if isinstance(form, dict) else form
        form = form[name]
    return len(path), form


@given(st.sets(st.lists(NAMES, min_size=1, max_size=4).map(tuple), min_size=1, max_size=5))
def test_what_is_read_is_there_in_full(paths: set[tuple[str, ...]]) -> None:
    made = tree_of(frozenset(paths))
    assert made is not None
    whole, part = normalized(to_json(message())), project(message(), made)
    for path in paths:
        assert at(part, path) == at(whole, path)
