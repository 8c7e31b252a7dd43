"""Whole programs: the cases of the CEL specification, and what a condition may come out as."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from octelium.policy.cel.errors import (
    BudgetError,
    CelError,
    CompileError,
    EvaluationError,
    MissingDataError,
)
from octelium.policy.cel.program import MAX_STEPS, compile_program, evaluate_once, new_frame
from octelium.policy.cel.values import SECOND, CelType, Duration, UInt, map_key
from tests.peers.timing import within

ROOT = Path(__file__).resolve().parents[3]
CASES = Path(os.environ.get("OCTELIUM_CONFORMANCE", ROOT.parent / "shared" / "conformance")) / "cel"

TWO_VARIABLES = (
    "macros of two variables belong to an extension that Octelium's environment does not offer"
)
EXCEPTIONS = {
    ("macros2", section): TWO_VARIABLES
    for section in ("exists", "all", "existsOne", "transformList", "transformMap")
}
"""Files and sections whose cases with a result cannot pass, with the reason."""


def load() -> list[Any]:
    cases = []
    for path in sorted(CASES.glob("*.json")):
        for index, case in enumerate(json.loads(path.read_text())["tests"]):
            name = f"{path.stem}-{case['section']}-{case['name']}-{index}"
            cases.append(pytest.param(path.stem, case, id=name))
    if not cases:
        reason = f"no cases of the CEL specification in {CASES}; set OCTELIUM_CONFORMANCE"
        cases.append(pytest.param("", {}, id="missing", marks=pytest.mark.skip(reason=reason)))
    return cases


def decoded(tagged: dict[str, Any]) -> object:
    """A value of the cases, which is tagged with its type."""
    ((kind, raw),) = tagged.items()
    match kind:
        case "int":
            return int(raw)
        case "uint":
            return UInt(raw)
        case "double":
            return float(raw)
        case "bytes":
            return bytes.fromhex(raw)
        case "list":
            return [decoded(item) for item in raw]
        case "map":
            return {map_key(decoded(key)): decoded(item) for key, item in raw}
        case "type":
            return CelType(raw)
        case "duration":
            return Duration(int(raw["seconds"]) * SECOND + int(raw.get("nanos", 0)))
    assert kind in ("bool", "string", "null")
    return raw


def identical(left: object, right: object) -> bool:
    """Whether two values have the same types throughout, and are equal."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(identical, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return len(left) == len(right) and all(
            key in right and identical(item, right[key]) for key, item in left.items()
        )
    return left == right


@pytest.mark.parametrize(("file", "case"), load())
def test_specification(file: str, case: dict[str, Any]) -> None:
    variables = {name: decoded(item) for name, item in case.get("bindings", {}).items()}
    check = not case.get("disable_check", False)
    if (file, case["section"]) in EXCEPTIONS:
        # The macro's name is known, its second variable is not.
        with pytest.raises(CompileError, match=r"undeclared reference to '[ik]'"):
            evaluate_once(case["expr"], variables, check=check)
    elif "error" in case:
        with pytest.raises(EvaluationError):
            evaluate_once(case["expr"], variables, check=check)
    else:
        assert identical(
            evaluate_once(case["expr"], variables, check=check), decoded(case["value"])
        )


def test_the_exceptions_are_all_there_is() -> None:
    """879 cases come out as specified; 33 use what is not offered, of which 5 ask for an error."""
    cases = [parameters.values for parameters in load()]
    if cases == [("", {})]:
        pytest.skip(f"no cases of the CEL specification in {CASES}")
    excepted = [case for file, case in cases if (file, case["section"]) in EXCEPTIONS]
    assert len(cases) == 912
    assert len(excepted) == 33
    assert sum("error" in case for case in excepted) == 5
    assert {(file, case["section"]) for file, case in cases} >= set(EXCEPTIONS)


def test_missing_data_is_false() -> None:
    frame = new_frame({"user": {"spec": {}, "nothing": None}, "list": [1.0]})
    for text in (
        "ctx.device.spec.state == 'ACTIVE'",
        "!(ctx.device.spec.state == 'ACTIVE')",
        "ctx.user.spec.isDisabled == false",
        "ctx.user.nothing.x == 1",
        "ctx.list[1] == 1",
        "ctx['nope'] == 1",
        "attrs.x == 1",
        "size(ctx.groups) == 0",
        "ctx.groups.exists(g, true)",
    ):
        assert compile_program(text).test(frame) is False, text
    for text in (
        "true || ctx.nope",
        "ctx.nope || true",
        "!(false && ctx.nope)",
        "!has(ctx.user.spec.email)",
        "!has(ctx.device)",
    ):
        assert compile_program(text).test(frame) is True, text


@pytest.mark.parametrize(
    "text",
    [
        "ctx.port + 1 > 3",
        "ctx.name + 1 == 2",
        "1 / 0 > 1",
        "ctx.name.x == 1",
        "ctx.name",
        "ctx.port",
        "ctx.name > 1",
        "ctx.list",
        "dyn('true')",
        "dyn(1)",
        "dyn(null)",
        "ctx.name.matches(ctx.bad)",
        "net.isIPInRange(ctx.name, '10.0.0.0/8')",
        "[].min() == 1",
        "timestamp(ctx.name) < now()",
    ],
)
def test_anything_else_is_an_error(text: str) -> None:
    frame = new_frame({"port": 8080.0, "name": "ann", "list": [True], "bad": "("})
    with pytest.raises(EvaluationError) as caught:
        compile_program(text).test(frame)
    assert not isinstance(caught.value, MissingDataError)


def test_numbers_of_the_context_are_doubles() -> None:
    frame = new_frame({"port": 8080.0})
    assert compile_program("ctx.port == 8080").test(frame)
    assert compile_program("ctx.port > 80 && ctx.port < 9000u").test(frame)
    assert compile_program("ctx.port + 1.0 == 8081.0").test(frame)
    assert compile_program("type(ctx.port) == double").test(frame)
    assert compile_program("string(ctx.port) == '8080'").test(frame)


def test_the_time_of_the_evaluation() -> None:
    program = compile_program("now() == timestamp('2027-01-15T08:00:00Z')")
    assert program.volatile
    assert program.test(new_frame({}, now=1_800_000_000.0))
    assert not program.test(new_frame({}, now=1_800_000_001.0))
    assert not program.test(new_frame({}))


def test_expressions_share_what_they_may_spend() -> None:
    program = compile_program("ctx.list.all(x, x == 0)")
    frame = new_frame({"list": [0.0] * (MAX_STEPS // 20)})
    assert program.test(frame)
    tests = (program.test(frame) for _ in range(20))
    with pytest.raises(BudgetError):
        list(tests)


def test_unexpected_failures_are_evaluation_errors() -> None:
    class Trap(dict[str, Any]):
        def __missing__(self, key: str) -> Any:
            raise ZeroDivisionError(key)

    with pytest.raises(EvaluationError, match="ZeroDivisionError"):
        compile_program("ctx.user == 1").test(new_frame(Trap()))
    with pytest.raises(EvaluationError, match="ZeroDivisionError"):
        compile_program("ctx.user").evaluate(new_frame(Trap()))


def test_equal_texts_share_a_program() -> None:
    assert compile_program("ctx.a == 1") is compile_program("ctx.a == 1")


def test_too_many_variables() -> None:
    with pytest.raises(CompileError, match="variables"):
        evaluate_once("v0", {f"v{index}": 1 for index in range(40)})


def test_unchecked_names_fail_where_they_are_met() -> None:
    assert evaluate_once("x || true", {}, check=False) is True
    with pytest.raises(CelError, match="undeclared"):
        evaluate_once("x", {}, check=False)
    with pytest.raises(CelError, match="no function"):
        evaluate_once("f(1)", {}, check=False)


LARGE = {
    "text": "a" * (2 * 1024 * 1024),
    "same": "".join(["a"] * (2 * 1024 * 1024)),
    "numbers": [float(number) for number in range(100_000)],
    "texts": ["x" * 100] * 20_000,
    "umlauts": "ü" * (1024 * 1024),
}


@pytest.mark.parametrize(
    "text",
    [
        "ctx.numbers.all(x, ctx.numbers.exists(y, y == x))",
        "ctx.numbers.all(x, x in ctx.numbers)",
        "ctx.numbers.hasAll(ctx.numbers)",
        "ctx.texts.all(x, ctx.texts == ctx.texts)",
        "ctx.texts.all(x, ctx.text == ctx.same)",
        "ctx.texts.all(x, ctx.text <= ctx.same)",
        "ctx.texts.all(x, ctx.text in [ctx.same])",
        "ctx.texts.all(x, ctx.text.startsWith(ctx.same))",
        "ctx.texts.all(x, ctx.text.endsWith(ctx.same))",
        "ctx.texts.all(x, ctx.text.substring(1) != '')",
        "ctx.texts.all(x, ctx.text.indexOf('b') < 0)",
        "ctx.texts.all(x, ctx.text.trim() != '')",
        "ctx.texts.all(x, !ctx.text.matches('(.*)(.*)(.*)b'))",
        "ctx.texts.map(x, ctx.text + x).size() > 0",
        "ctx.texts.all(x, ctx.texts.join(ctx.text) != '')",
        "ctx.numbers.map(x, '%.1000f'.format([1e300])).size() > 0",
        "ctx.numbers.map(x, json.marshal(ctx.texts)).size() > 0",
        "ctx.numbers.map(x, [x, x]).map(x, [x, x]).map(x, [x, x]).size() > 0",
        "ctx.text.split('').size() > 0",
        "ctx.numbers.all(x, ctx.numbers.min() < 1.0)",
        "ctx.texts.all(x, ctx.text.format([x]) != x)",
        "ctx.texts.all(x, {'a': 1}[ctx.text] == 1)",
        "ctx.texts.all(x, ctx.umlauts.lowerAscii() != x)",
        "ctx.texts.all(x, strings.quote(ctx.text) != x)",
        "ctx.text.replace('a', 'bc') != ''",
        "ctx.texts.all(x, ctx.text.trim() != x)",
        "ctx.texts.all(x, !ctx.text.contains('ab'))",
        "ctx.texts.all(x, ctx.text.lastIndexOf('ab') < 0)",
        "ctx.texts.all(x, now().getHours(ctx.text) > 30)",
        "ctx.numbers.all(x, now().getHours('Nowhere/' + string(x)) > 30)",
        "ctx.numbers.all(x, time.isWeekdayInTZ(now(), string(x)))",
        "ctx.texts.all(x, !(1 in ctx.texts))",
    ],
)
def test_large_data_is_no_way_to_hold_up_a_worker(text: str) -> None:
    program = compile_program(text)
    frame = new_frame(LARGE)
    with within(0.5), pytest.raises(BudgetError):
        program.test(frame)
