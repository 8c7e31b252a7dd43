"""Moves that make conditions true or false. That they help is tested with the search."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.explain.moves import NOTHING, Move
from octelium.octovigil.explain.solver import MAX_MOVES, Solver
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.explain.asking import http, traced
from tests.octovigil.world import World

TAGS = "set spec.attrs.tags of User ann to "
REQUEST = http("/a", team="blue")


def solve(
    form: dict[str, Any] | str, *, want: bool, request: dict[str, Any] | None = None
) -> list[Move]:
    world = World()
    world.put("Group", "ops")
    world.put("Group", "qa")
    world.user("ann", groups=["qa"], attrs={"tags": ["x", "y"]})
    told = traced(world, REQUEST if request is None else request)
    assert told.evaluator is not None
    solver = Solver(told.supposition, told.parties, told.evaluator.ready(None))
    given = {"match": form} if isinstance(form, str) else form
    return solver.moves(from_json(core.Condition, given), {"level": 3.0}, want=want)


def words(form: dict[str, Any] | str, *, want: bool) -> list[list[str]]:
    return [[edit.text for edit in move.edits] for move in solve(form, want=want)]


def test_what_is_so_already_needs_nothing() -> None:
    assert NOTHING in solve("ctx.request.http.path == '/a'", want=True)
    assert NOTHING in solve("ctx.request.http.path == '/b'", want=False)
    assert solve({"matchAny": True}, want=True) == [NOTHING]
    assert solve({"matchAny": True}, want=False) == []
    assert solve({}, want=True) == []


@pytest.mark.parametrize(
    ("match", "want", "expected"),
    [
        ("ctx.request.http.path == '/b'", True, 'send it with the path "/b"'),
        ("'/b' == ctx.request.http.path", True, 'send it with the path "/b"'),
        ("ctx.request.http.path == '/a'", False, 'send it with the path "/other"'),
        ("ctx.request.http.headers.team == 'blue'", False, "send it without the header team"),
        ("has(ctx.request.http.headers.team)", False, "send it without the header team"),
        ("'team' in ctx.request.http.headers", False, "send it without the header team"),
        ("ctx.request.http.headers.exists(h, h == 'x')", True, 'send it with the header x "x"'),
        ("ctx.user.spec.attrs.ok", True, "set spec.attrs.ok of User ann to true"),
        ("ctx.user.spec.attrs['ok']", True, "set spec.attrs.ok of User ann to true"),
        ("ctx.user.spec.attrs.level == attrs.level", True, "set spec.attrs.level of User ann to 3"),
        ("'z' in ctx.user.spec.attrs.tags", True, TAGS + '["x", "y", "z"]'),
        ("'x' in ctx.user.spec.attrs.tags", False, TAGS + '["y"]'),
        ("ctx.user.spec.attrs.tags.all(t, t == 'x')", True, TAGS + '["x"]'),
        ("ctx.user.spec.attrs.tags.exists(t, t == 'x')", False, TAGS + '["y"]'),
        ("size(ctx.user.spec.attrs.tags) == 1", True, TAGS + '["x"]'),
        ("ctx.groups.all(g, g.metadata.name == 'ops')", True, "remove User ann from Group qa"),
        ("ctx.groups.all(g, g.metadata.name == 'qa')", False, "add User ann to Group ops"),
        ("'qa' in ctx.user.spec.groups", False, "remove User ann from Group qa"),
        ("ctx.user.spec.groups.exists(g, g == 'qa')", False, "remove User ann from Group qa"),
        ("ctx.user.spec.groups.hasAll(['qa', 'ops'])", True, "add User ann to Group ops"),
        ("net.isPrivateIP(ctx.request.ip)", True, "send it from 10.0.0.1"),
        ("!net.isIPInRange(ctx.request.ip, '192.0.2.0/24')", True, "send it from 198.51.100.1"),
        ("dyn(ctx.request.http.path == '/b')", True, 'send it with the path "/b"'),
    ],
)  # fmt: skip
def test_the_first_move(match: str, want: bool, expected: str) -> None:
    assert [expected] in words(match, want=want)


def test_conjunctions_and_disjunctions() -> None:
    match = "ctx.request.http.method == 'PUT' && ctx.request.http.path == '/b'"
    assert words(match, want=True)[0] == [
        'send it with the method "PUT"',
        'send it with the path "/b"',
    ]
    match = "ctx.request.http.method == 'PUT' || ctx.request.http.path == '/b'"
    assert [len(move) for move in words(match, want=True)] == [1, 1]
    assert NOTHING in solve(match, want=False)
    contradiction = "ctx.request.http.path == '/b' && ctx.request.http.path == '/c'"
    assert solve(contradiction, want=True) == []


def test_forms_of_conditions() -> None:
    method = {"match": "ctx.request.http.method == 'PUT'"}
    path = {"match": "ctx.request.http.path == '/b'"}
    both = [['send it with the method "PUT"', 'send it with the path "/b"']]
    assert words({"all": {"of": [method, path]}}, want=True) == both
    assert len(words({"any": {"of": [method, path]}}, want=True)) == 2
    assert solve({"none": {"of": [method, path]}}, want=True) == [NOTHING]
    assert len(words({"none": {"of": [method, path]}}, want=False)) == 2
    assert words({"not": "ctx.request.http.path == '/a'"}, want=True)[0] == [
        'send it with the path "/"'
    ]


def test_moves_are_bounded() -> None:
    match = " || ".join(f"ctx.request.http.path == '/{number}'" for number in range(100))
    assert len(solve(match, want=True)) == MAX_MOVES


def test_a_stream_without_a_request_has_nothing_to_send() -> None:
    told = traced(World())
    told.supposition.request = None
    assert told.evaluator is not None
    solver = Solver(told.supposition, told.parties, told.evaluator.ready(None))
    condition = core.Condition(match="ctx.request.http.path == '/b'")
    assert solver.moves(condition, {}, want=True) == []


@pytest.mark.parametrize("match", ["1 / 0 > 1", "json.marshal(ctx) == 'x'", "now() < now()"])
def test_much_is_left_alone(match: str) -> None:
    assert solve(match, want=True) == []
