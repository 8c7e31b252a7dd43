"""The values of the parts of expressions."""

from __future__ import annotations

import pytest
from hypothesis import given

from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError, EvaluationError, UnknownDataError
from octelium.policy.cel.parts import MAX_PARTS, MAX_TEXT, MAX_VALUE, parts, shown
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.values import BUDGET, Frame
from tests.policy.cel.oracle import NORMAL, conditions, expressions


def told(text: str, frame: Frame | None = None) -> list[str]:
    found = parts(check(text).root, new_frame(NORMAL, {}) if frame is None else frame)
    return [f"{'.' * part.depth}{part.text} = {part.value or part.error}" for part in found]


def test_comparisons_paths_and_the_operands_of_logic() -> None:
    text = "ctx.user.spec.type == 'WORKLOAD' && (!has(ctx.nope) || 'ops' in ctx.user.spec.groups)"
    assert told(text) == [
        'ctx.user.spec.type == "WORKLOAD" = false',
        '.ctx.user.spec.type = "HUMAN"',
        '!has(ctx.nope) || "ops" in ctx.user.spec.groups = true',
        ".!has(ctx.nope) = true",
        "..has(ctx.nope) = false",
        '."ops" in ctx.user.spec.groups = true',
        '..ctx.user.spec.groups = ["ops", "dev", "σίγμα"]',
    ]


def test_what_is_not_there_is_absent() -> None:
    assert told("ctx.device.spec.state == 'ACTIVE'") == ["ctx.device.spec.state = absent"]
    assert told("has(ctx.device.spec.state)") == ["ctx.device.spec = absent"]
    assert told("attrs.x == 1") == ["attrs.x = absent"]


def test_errors_say_what_went_wrong() -> None:
    assert told("ctx.service.spec.port + 1 > 3") == [
        "ctx.service.spec.port + 1 = no such overload: _+_(double, int)",
        ".ctx.service.spec.port = 8080.0",
    ]
    assert told("1 / 0 > 1") == ["1 / 0 = division by zero"]


def test_an_expression_without_parts_is_its_own() -> None:
    assert told("ctx.nothing") == ["ctx.nothing = null"]
    assert told("has(ctx.user.spec.email)") == ["has(ctx.user.spec.email) = true"]
    assert told("true") == []


def test_only_the_branch_that_was_chosen() -> None:
    text = "(ctx.service.spec.isPublic ? ctx.request.ip : ctx.user.spec.type) == 'x'"
    assert told(text)[1:] == [
        ".ctx.service.spec.isPublic = true",
        '.ctx.request.ip = "10.1.2.3"',
    ]


def test_loops_show_their_range_and_the_element_that_decides() -> None:
    groups = '[{"metadata": {"name": "ops"}}, {"metadata": {"name": "dev"}, "spec": {}}]'
    assert told("ctx.groups.exists(g, g.metadata.name == 'dev')") == [
        f"ctx.groups = {groups}",
        'g = {"metadata": {"name": "dev"}, "spec": {}}',
        '.g.metadata.name = "dev"',
    ]
    assert told("ctx.groups.all(g, has(g.spec))") == [
        f"ctx.groups = {groups}",
        'g = {"metadata": {"name": "ops"}}',
    ]
    assert told("ctx.groups.exists(g, g.metadata.name == 'x')") == [f"ctx.groups = {groups}"]
    assert told("ctx.groups.map(g, g.metadata.name) == []") == [
        'ctx.groups.map(g, g.metadata.name) = ["ops", "dev"]',
        f".ctx.groups = {groups}",
    ]
    assert "k = " in told("ctx.request.http.headers.exists(k, k == 'host')")[1]


def test_bound_variables_have_values() -> None:
    assert told("cel.bind(v, ctx.user.spec.attrs.level, v == 3.0)") == [
        "ctx.user.spec.attrs.level = 3.0",
        "v == 3.0 = true",
        ".v = 3.0",
    ]
    assert told("cel.bind(v, 1 / 0, v == 3)")[1] == "v == 3 = division by zero"


def test_libraries_literals_and_repetitions_are_left_out() -> None:
    assert told("math.ceil(ctx.user.spec.attrs.ratio) > math.ceil(ctx.user.spec.attrs.ratio)") == [
        "math.ceil(ctx.user.spec.attrs.ratio) = 1.0",
        ".ctx.user.spec.attrs.ratio = 0.5",
        "math.ceil(ctx.user.spec.attrs.ratio) = 1.0",
    ]
    text = "timestamp('2027-01-01T00:00:00Z') > timestamp(ctx.empty.text)"
    assert told(text)[0].startswith("timestamp(ctx.empty.text) = timestamp() needs")
    assert told("ctx.request.ip in [ctx.empty.text, {'a': ctx.user.spec.type}.a]") == [
        'ctx.request.ip = "10.1.2.3"',
        'ctx.empty.text = ""',
        '{"a": ctx.user.spec.type}.a = "HUMAN"',
        '.ctx.user.spec.type = "HUMAN"',
    ]


def test_what_is_unknown_says_so() -> None:
    class Unknown(dict[str, object]):
        def __missing__(self, key: str) -> object:
            raise UnknownDataError(key)

    assert told("ctx.request.ip == 'x'", new_frame(Unknown())) == ["ctx.request.ip = not known"]


def test_values_and_texts_are_short_and_inert() -> None:
    value = shown("\x1b[31m" + "x" * 1000)
    assert value.startswith('"\\u001b[31mxxx')
    assert value.endswith("…")
    assert len(value) == MAX_VALUE
    assert len(shown([["x" * 50] * 50] * 5000)) == MAX_VALUE
    name = "x" * 1000
    ((line),) = told(f"ctx.user.{name} == 1")
    assert len(line) < MAX_TEXT + 20
    nothing = new_frame({"x": {}})
    assert told("ctx.x['\\u001b'] + 'a' == ''", nothing)[-1].isprintable()


def test_of_resources_the_name_is_shown() -> None:
    group = {"kind": "Group", "metadata": {"uid": "u", "name": "ops"}, "spec": {}}
    brief = '{"metadata": {"name": "ops", …}, …}'
    assert shown(group) == brief
    assert shown([group, group]) == f"[{brief}, {brief}]"
    assert len(shown([group] * 50)) == MAX_VALUE
    assert shown([group, 1.0]).startswith('[{"kind"')


def test_what_is_looked_at_is_bounded() -> None:
    text = " && ".join(f"ctx.user.spec.type == '{index}'" for index in range(200))
    assert len(told(text)) == MAX_PARTS
    heavy = "ctx.items.all(a, ctx.items.all(b, ctx.items.exists(c, c == 'x') == false))"
    frame = new_frame({"items": [str(index) for index in range(300)]})
    before = frame[BUDGET]
    found = told(f"{heavy} && {heavy} == true && ctx.request.ip == 'x'", frame)
    assert "more steps" in found[0]
    assert "too costly" in found[-1]
    assert frame[BUDGET] == before


@given(conditions() | expressions())
def test_parts_are_what_evaluations_find(text: str) -> None:
    """Whatever the expression, looking never fails, and leaves the frame as it is."""
    try:
        root = check(text).root
        program = compile_program(text)
    except CompileError:
        return
    frame = new_frame(NORMAL, {}, now=0)
    before = list(frame)
    found = parts(root, frame)
    assert all(one is other for one, other in zip(frame, before, strict=True))
    assert all(part.text.isprintable() and part.value.isprintable() for part in found)
    assert all(bool(part.value) != bool(part.error) for part in found)
    for part in found:
        if part.depth == 0 and part.text == text:
            try:
                value = shown(program.evaluate(frame))
            except EvaluationError:
                assert part.error
            else:
                assert part.value == value


@pytest.mark.parametrize(
    ("expression", "text", "reads"),
    [
        ("ctx.user.spec.email == ctx.request.http.path", "ctx.user.spec.email", {"user"}),
        ('cel.bind(attrs, ctx.user.spec.email, attrs == "1")', "attrs", {"user"}),
        ('cel.bind(string, ctx.user.spec.email, string == "1")', "string", {"user"}),
        ('cel.bind(ctx, ctx.user, ctx.request == "1")', "ctx.request", {"user"}),
        ('["b", "a"].exists(int, int == ctx.user.metadata.name)', "int", {"user"}),
        ('[{"request": ctx}].exists(ctx, ctx.request.user.spec.email == "a")', "ctx", {""}),
        ('attrs.x == "1"', "attrs.x", set()),
    ],
)
def test_what_values_come_of(expression: str, text: str, reads: set[str]) -> None:
    user = {"metadata": {"name": "a"}, "spec": {"email": "a"}, "request": "r"}
    frame: Frame = new_frame({"user": user, "request": {"http": {"path": "/"}}}, {"x": "1"})
    found = {part.text: part.reads for part in parts(check(expression).root, frame)}
    assert found[text] == reads
