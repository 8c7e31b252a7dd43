"""The closures against single rules of the language, and against Google's evaluator."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from octelium.policy.cel.ast import Call, Const, Ident, Select
from octelium.policy.cel.compiler import compile_node
from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError, MissingDataError, UnknownDataError
from octelium.policy.cel.functions import FUNCTIONS
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.values import NOW, UInt, normalized
from tests.conftest import SOAK
from tests.policy.cel import oracle, typed
from tests.policy.cel.evaluation import failure, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a' == 'a'", True),
        ("dyn('a') == 1", False),
        ("'a' != dyn(1)", True),
        ("dyn(1) in [1.0, 'x']", True),
        ("dyn(true) in [1]", False),
        ("'a' in ['b', 'a']", True),
        ("dyn(1) in ['b', 'a']", False),
        ("dyn(['a']) in ['a']", False),
        ("'a' in {'a': 1}", True),
        ("dyn(1.0) in {1: 2}", True),
        ("dyn(2) in {1: 2}", False),
        ("[1, 2][1]", 2),
        ("[1, 2][dyn(1.0)]", 2),
        ("[1, 2][dyn(1u)]", 2),
        ("{'a': 1}['a']", 1),
        ("{'a': 1}.a", 1),
        ("{1: 'x'}[dyn(1.0)]", "x"),
        ("true ? 1 : 1 / 0", 1),
        ("false ? 1 / 0 : 2", 2),
        ("-(-5)", 5),
        ("!false", True),
        ("[1, 'a', 1u] == [1, 'a', 1u]", True),
        ("{'a': [1]} == {'a': [1]}", True),
        ("size({'a': 1, 'b': 2})", 2),
        ("type(1u)", None),
        ("'aXb'.matches('^a.b$')", True),
        ("matches('aXb', 'X')", True),
    ],
)
def test_expressions(text: str, expected: object) -> None:
    made = value(text)
    if expected is not None:
        assert made == expected
        assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1][1]", "out of bounds"),
        ("[1][-1]", "out of bounds"),
        ("[1][dyn('a')]", "no such overload"),
        ("[1][dyn(0.5)]", "no such overload"),
        ("[1][dyn(true)]", "no such overload"),
        ("dyn(1)[0]", "no such overload"),
        ("{'a': 1}['b']", "no such key"),
        ("{'a': 1}[dyn(null)]", "unsupported key type"),
        ("{'a': 1, 'a': 2}", "same key twice"),
        ("dyn(1) in dyn('a')", "no such overload"),
        ("dyn('a') ? 1 : 2", "no such overload"),
        ("!dyn('a')", "no such overload"),
        ("-dyn('a')", "no such overload"),
        ("dyn('a').b", "no field"),
        ("has(dyn('a').b)", "no field"),
        ("has(dyn(null).b)", "no such field"),
        ("dyn('a').matches('(')", "regular expression"),
    ],
)
def test_errors(text: str, problem: str) -> None:
    if "matches" in text:
        with pytest.raises(CompileError, match=problem):
            value(text)
    else:
        assert problem in failure(text)


def test_an_index_in_null_is_missing_data() -> None:
    with pytest.raises(MissingDataError):
        value("dyn(null)['a']")


def test_literal_keys_and_uint() -> None:
    assert value("{1u: 2u}") == {UInt(1): UInt(2)}


def test_names_that_nobody_declared() -> None:
    with pytest.raises(CompileError, match="undeclared"):
        compile_node(Ident("nope"))
    with pytest.raises(CompileError, match="no function"):
        compile_node(Call("nope", None, (Const(1),)))
    with pytest.raises(CompileError, match="no function"):
        compile_node(Call("nope", Select(Ident("ctx"), "a", test=False), ()))


def test_every_declared_function_is_there() -> None:
    """One call of everything that users are told of; the checker and the closures must agree."""
    text, items, at = "ctx.s", "ctx.l", "timestamp(ctx.t)"
    calls = [
        *(f"{text}.{name}" for name in (
            "charAt(0)", "indexOf('a')", "indexOf('a', 0)", "lastIndexOf('a')",
            "lastIndexOf('a', 0)", "lowerAscii()", "upperAscii()", "replace('a', 'b')",
            "replace('a', 'b', 1)", "split('a')", "split('a', 1)", "substring(0)",
            "substring(0, 1)", "trim()", "reverse()", "format([])", "toLower()", "toUpper()",
            "size()", "startsWith('a')", "endsWith('a')", "contains('a')", "matches('a')",
        )),
        *(f"{items}.{name}" for name in (
            "join()", "join('a')", "hasAny([])", "hasAll([])", "min()", "max()", "size()",
        )),
        *(f"{at}.{name}({zone})" for zone in ("", "'UTC'") for name in (
            "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek",
            "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
        )),
        *(f"math.{name}" for name in (
            "greatest(1)", "greatest(1, 2)", "greatest(1, 2, 3)", "greatest(ctx.l)", "least(1)",
            "least(1, 2)", "least(1, 2, 3)", "ceil(1.0)", "floor(1.0)", "round(1.0)",
            "trunc(1.0)", "abs(1)", "sign(1)", "isNaN(1.0)", "isInf(1.0)", "isFinite(1.0)",
            "bitAnd(1, 1)", "bitOr(1, 1)", "bitXor(1, 1)", "bitNot(1)", "bitShiftLeft(1, 1)",
            "bitShiftRight(1, 1)", "sqrt(4)",
        )),
        "strings.quote('a')", "base64.encode(b'a')", "base64.decode('YQ==')", "now()",
        "json.parse('{}')", "json.marshal(1)", "net.isIP('a')", "net.isIPv4('a')",
        "net.isIPv6('a')", "net.isPrivateIP('a')", "net.isIPInRange('10.0.0.1', '10.0.0.0/8')",
        "time.isWeekday(now())", "time.isWeekend(now())", "time.isWeekdayInTZ(now(), 'UTC')",
        "time.isWeekendInTZ(now(), 'UTC')", "int(1)", "uint(1)", "double(1)", "string(1)",
        "bytes('a')", "bool('true')", "timestamp(0)", "duration('1s')", "type(1)", "dyn(1)",
        "size('a')", "matches('a', 'a')", "cel.bind(x, 1, x)", "has(ctx.s)",
    ]  # fmt: skip
    context = {"s": "abc", "l": ["1"], "t": "2026-01-01T00:00:00Z"}
    for call in calls:
        if call == "math.greatest(ctx.l)":
            compile_program(call)
            continue
        compile_program(call).evaluate(new_frame(context, {}))


def test_the_registry_offers_nothing_undeclared() -> None:
    for name, arity in FUNCTIONS:
        if name.startswith("math.@"):
            continue
        args = ", ".join(["ctx.a"] * arity)
        rest = ", ".join(["ctx.a"] * (arity - 1))
        texts = [f"{name}({args})"]
        if arity and "." not in name:
            texts.append(f"ctx.a.{name}({rest})")
        assert any(_compiles(text) for text in texts), (name, arity)


def _compiles(text: str) -> bool:
    try:
        check(text)
    except CompileError:
        return False
    return True


def test_unknown_parts_leave_what_does_not_depend_on_them() -> None:
    class Partial(dict[str, object]):
        def __missing__(self, key: str) -> object:
            raise UnknownDataError(key)

    frame = new_frame(Partial(user="ann"))
    frame[NOW] = None
    for text, expected in (
        ("ctx.user == 'ann' || ctx.request.x", True),
        ("ctx.request.x || ctx.user == 'ann'", True),
        ("ctx.user == 'bob' && ctx.request.x", False),
        ("ctx.request.x && ctx.user == 'bob'", False),
        ("[1, 2].exists(n, n == 2 || ctx.request.x)", True),
        ("[1, 2].all(n, n == 1 && ctx.request.x)", False),
        ("ctx.user == 'bob' && now() > timestamp(0)", False),
    ):
        assert compile_program(text).run(frame) is expected, text
    for text in (
        "ctx.request.x == 1",
        "ctx.request.x || ctx.user == 'bob'",
        "ctx.user.nope == 1 || ctx.request.x",
        "ctx.request.x && 1 / 0 > 1",
        "1 / 0 > 1 && ctx.request.x",
        "[1].exists(n, 1 / 0 > n || ctx.request.x)",
        "now() > timestamp(0)",
        "ctx.request.x ? true : true",
        "size([ctx.request.x]) == 1",
    ):
        with pytest.raises(UnknownDataError):
            compile_program(text).run(frame)


def agrees(text: str, context: dict[str, Any] = oracle.NORMAL) -> None:
    """Compare with the C++ evaluator: the same value, or an error on both sides."""
    try:
        expected = oracle.theirs(text, context)
    except RuntimeError:
        return
    # As a condition it is decided by closures of their own.
    assert oracle.truth(text, context) == oracle.derived_truth(text, context)
    made = oracle.ours(text, context)
    if isinstance(made, oracle.Failed) and isinstance(expected, oracle.Failed):
        return
    if oracle.known_difference(text, made, expected):
        return
    assert made == expected, text


FUZZ = settings(
    max_examples=2000 if SOAK else 100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@FUZZ
@given(oracle.expressions())
@example("(ctx.nope || 1 / 0 > 1)")
@example("[dyn(1), dyn('a')].all(e, e > 0)")
@example("cel.bind(v, dyn(1 / 0), [1].exists(x, x == 1 || v == 2))")
@example("{true: 1, false: 2}[dyn(true)]")
def test_google_agrees_on_expressions(text: str) -> None:
    agrees(text)


@FUZZ
@given(typed.expression(), typed.contexts())
def test_google_agrees_on_typed_expressions(text: str, context: dict[str, Any]) -> None:
    made = normalized(context)
    assert isinstance(made, dict)
    agrees(text, made)


@FUZZ
@given(typed.expression("bool", 4), typed.contexts())
def test_google_agrees_on_typed_conditions(text: str, context: dict[str, Any]) -> None:
    made = normalized(context)
    assert isinstance(made, dict)
    agrees(text, made)


@FUZZ
@given(oracle.conditions())
def test_google_agrees_on_conditions(text: str) -> None:
    agrees(text)
