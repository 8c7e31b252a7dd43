"""Edits: what they make of worlds, and which cannot be made."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.octovigil.explain.edits import (
    ADD,
    REMOVE,
    SET,
    UNSET,
    Edit,
    EditError,
    apply_edits,
    edit_of,
    make,
    parse_path,
)
from octelium.schema.errors import render_path
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.octovigil.explain.asking import http, supposed
from tests.octovigil.world import World, allow, inline, uid_of

if TYPE_CHECKING:
    from octelium.octovigil.explain.supposition import Supposition


def world() -> World:
    made = World()
    made.put("Group", "ops")
    made.policy("p", allow())
    made.user("ann", groups=["ops"], authorization=inline(allow(), name="own"))
    return made


def edit(kind: str, path: str, action: Any, value: Any = None, name: str = "ann") -> Edit:
    uid = uid_of(kind, name) if kind else ""
    return Edit(kind, name if kind else "", uid, parse_path(path), action, value)


def spec(supposition: Supposition) -> dict[str, Any]:
    assert supposition.user is not None
    found: dict[str, Any] = supposition.user.json["spec"]
    return found


def test_fields_of_resources() -> None:
    before = supposed(world())
    after = apply_edits(
        before,
        [
            edit("User", "spec.attrs.level", SET, 3),
            edit("User", "spec.groups", REMOVE, "ops"),
            edit("User", "spec.isDisabled", SET, True),
            edit("User", "spec.authorization.policies", ADD, "p"),
            edit("User", "spec.authorization.inlinePolicies[0].name", SET, "mine"),
            edit("User", 'metadata.labels["team"]', SET, "blue"),
            edit("User", "spec.email", UNSET),
        ],
    )
    assert spec(after) == {
        "type": "HUMAN",
        "isDisabled": True,
        "attrs": {"level": 3},
        "authorization": {
            "policies": ["p"],
            "inlinePolicies": [
                {
                    "name": "mine",
                    "spec": {"rules": [{"condition": {"matchAny": True}, "effect": "ALLOW"}]},
                }
            ],
        },
    }
    assert spec(before)["groups"] == ["ops"]


def test_items_are_taken_out_by_index_and_by_value() -> None:
    after = apply_edits(
        supposed(world()), [edit("User", "spec.authorization.inlinePolicies[0]", UNSET)]
    )
    assert "inlinePolicies" not in spec(after).get("authorization", {})
    rule = {"condition": {"matchAny": True}, "effect": "ALLOW"}
    item = {"name": "own", "spec": {"rules": [rule]}}
    after = apply_edits(
        supposed(world()), [edit("User", "spec.authorization.inlinePolicies", REMOVE, item)]
    )
    assert "inlinePolicies" not in spec(after).get("authorization", {})


def test_the_request() -> None:
    before = supposed(world(), http(), repeated=frozenset({("http", "path")}))
    after = apply_edits(
        before,
        [
            edit("", "http.path", SET, "/x"),
            edit("", 'http.headers["x-n"]', SET, 1),
            edit("", "http.method", UNSET),
            edit("", "ip", SET, "192.0.2.9"),
            edit("", "llm.toolNames", ADD, "t"),
        ],
    )
    assert after.request == {
        "ip": "192.0.2.9",
        "http": {"path": "/x", "headers": {"x-n": 1.0}},
        "llm": {"toolNames": ["t"]},
    }
    assert type(after.request["http"]["headers"]["x-n"]) is float
    assert after.client_address == "192.0.2.9"
    assert not after.repeated
    assert before.request != after.request
    stream = supposed(world())
    stream.request = None
    after = apply_edits(stream, [edit("", "ip", SET, "192.0.2.9")])
    assert (after.request, after.client_address) == (None, "192.0.2.9")


def test_another_session() -> None:
    made = world()
    made.session("ann-2", "ann")
    after = apply_edits(supposed(made), [edit("Session", "", SET, "ann-2", "ann-2")])
    assert after.session is not None
    assert after.session.name == "ann-2"


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (edit("User", "spec.groups", SET, "ops"), "expected a list"),
        (edit("User", "spec.nope", SET, 1), "unknown field"),
        (edit("User", "spec.groups", REMOVE, "x"), "holds no such item"),
        (edit("User", "spec.email", ADD, "x"), "is no list"),
        (edit("User", "spec.groups[7]", UNSET), "there is no item 7"),
        (edit("User", "spec.email.x", SET, 1), "has no place there"),
        (edit("User", "spec.groups", ADD, "gone"), "there is no Group 'gone'"),
        (edit("User", "spec.authorization.policies", ADD, "gone"), "there is no Policy 'gone'"),
        (edit("User", "metadata.labels.team", SET, "NOT A LABEL"), "is not the value of a label"),
        (edit("User", "spec.email", SET, "x", "nobody"), "there is no User"),
        (edit("Nope", "spec", SET, 1), "there is no Nope"),
        (edit("User", "spec", ext.EditAction__.EDIT_UNKNOWN, 1), "unknown action"),
    ],
)
def test_edits_that_cannot_be_made(bad: Edit, problem: str) -> None:
    supposition = supposed(world())
    before = dict(supposition.replica.users)
    with pytest.raises(EditError, match=problem):
        make(supposition, [edit("User", "spec.isDisabled", SET, True), bad])
    assert supposition.replica.users == before


def test_a_stream_without_a_request_gets_none() -> None:
    supposition = supposed(world())
    supposition.request = None
    with pytest.raises(EditError, match="no request object"):
        make(supposition, [edit("", "http.path", SET, "/")])


def test_what_was_can_be_put_back() -> None:
    supposition = supposed(world())
    before = spec(supposition)
    former = make(supposition, [edit("User", "spec.groups", REMOVE, "ops")])
    assert spec(supposition) != before
    supposition.put(former)
    assert spec(supposition) == before


def test_faults_that_were_there_before_are_no_obstacle() -> None:
    made = world()
    made.user("ann", groups=["gone", "ops", "lost"])
    after = apply_edits(supposed(made), [edit("User", "spec.groups", REMOVE, "gone")])
    assert spec(after)["groups"] == ["ops", "lost"]


def test_edits_go_through_the_api_unchanged() -> None:
    rule = {"effect": "DENY", "priority": -4, "condition": {"match": "a"}}
    for one in (
        edit("User", "spec.groups", ADD, "ops"),
        edit("User", 'metadata.labels["a.b"]', UNSET),
        edit("Policy", "spec.rules", REMOVE, rule, "p"),
        edit("", "http.headers.x", SET, [1, None, True]),
    ):
        again = edit_of(ext.Edit.FromString(one.message().SerializeToString()))
        assert again == one
        assert again.key == one.key


@given(st.lists(st.one_of(st.text(max_size=6), st.integers(0, 99)), max_size=4))
def test_paths_are_read_as_they_are_written(steps: list[str | int]) -> None:
    path = tuple(steps)
    try:
        assert parse_path(render_path(path)) == path
    except EditError:
        assert any('"' in step for step in path if isinstance(step, str))


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    with suppress(EditError):
        assert all(isinstance(step, str | int) for step in parse_path(text))
