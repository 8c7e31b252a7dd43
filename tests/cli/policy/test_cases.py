from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.policy.cases import read_cases, run_case, same
from octelium.policy.cel.values import UInt, map_key
from octelium.schema.errors import Invalid


def run(expr: str, expected: Any, **more: Any) -> tuple[bool, str, str]:
    case = {"section": "s", "name": "n", "expr": expr, **more}
    if expected != "error":
        case["value"] = expected
    else:
        case["error"] = ["whatever"]
    [read] = read_cases(json.dumps({"tests": [case]}))
    result = run_case(read)
    assert (result.section, result.name) == ("s", "n")
    return result.ok, result.got, result.excluded


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        ("null", {"null": None}),
        ("true", {"bool": True}),
        ("1", {"int": "1"}),
        ("1u", {"uint": "1"}),
        ("1.0", {"double": "1"}),
        ("double('NaN')", {"double": "NaN"}),
        ("-double('inf')", {"double": "-Infinity"}),
        ("'a'", {"string": "a"}),
        ("b'a'", {"bytes": "61"}),
        ("int", {"type": "int"}),
        ("type(now())", {"type": "google.protobuf.Timestamp"}),
        ("[1, 'a']", {"list": [{"int": "1"}, {"string": "a"}]}),
        ("{true: 1.0}", {"map": [[{"bool": True}, {"double": "1"}]]}),
        ("duration('1.5s')", {"duration": {"seconds": "1", "nanos": "500000000"}}),
        ("timestamp(1)", {"timestamp": {"seconds": "1"}}),
    ],
)
def test_a_value_of_each_type(expr: str, value: Any) -> None:
    ok, _, excluded = run(expr, value)
    assert (ok, excluded) == (True, "")
    assert not run(expr, {"string": "other"})[0]


def test_what_came_instead_is_told_with_its_type() -> None:
    assert run("1", {"uint": "1"}) == (False, "1 (int), expected 1u (uint)", "")
    assert run("1", "error") == (False, "1 (int), expected an error", "")
    ok, got, _ = run("1 / 0", {"int": "1"})
    assert not ok
    assert got.startswith("error: ")


def test_errors_of_the_text_and_of_the_evaluation() -> None:
    assert run("1 +", "error")[0]
    assert run("1 / 0", "error")[0]
    ok, got, _ = run("x", "error", disable_check=True)
    assert ok
    assert got.startswith("error: ")


def test_variables() -> None:
    bindings = {"x": {"int": "123"}, "a.b": {"string": "q"}}
    assert run("x", {"int": "123"}, bindings=bindings, declared=["x", "a.b"])[0]
    assert run("a.b", {"string": "q"}, bindings=bindings)[0]


def test_what_is_not_offered_is_not_ok_and_says_so() -> None:
    ok, got, excluded = run("[1].exists(i, v, i < v)", {"bool": True})
    assert not ok
    assert "two variables" in excluded
    assert excluded in got
    # The error that was asked for came, whatever its reason.
    assert run("[1].exists(i, v, 1 / 0 == 1)", "error")[::2] == (True, "")


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, False),
        (1, UInt(1), False),
        (True, 1, False),
        (math.nan, math.nan, True),
        ([1], [1, 2], False),
        ([math.nan], [math.nan], True),
        ({map_key(True): 1}, {1: 1}, False),
        ({1: 1}, {1: 1.0}, False),
        ({UInt(1): 1}, {1: 1}, False),
        ({"a": [1]}, {"a": [1]}, True),
    ],
)
def test_values_are_the_same_by_type_and_value(left: object, right: object, equal: bool) -> None:
    assert same(left, right) is equal


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("{", "", "not JSON"),
        ("[]", "tests", "missing"),
        ('{"tests": {}}', "tests", "missing"),
        ('{"tests": [1]}', "tests[0]", "not an object"),
        ('{"tests": [{"exp": "1"}]}', "tests[0].exp", "unknown field"),
        ('{"tests": [{"section": "s", "name": "n"}]}', "tests[0].expr", "missing"),
        ('{"tests": [{"section": "s", "name": 1, "expr": "1"}]}', "tests[0].name", "missing"),
    ],
)
def test_files_that_are_no_cases(text: str, path: str, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_cases(text)
    assert caught.value.path == path
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (1, "value"),
        ({}, "value"),
        ({"int": "1", "uint": "1"}, "value"),
        ({"int": "x"}, "value.int"),
        ({"int": None}, "value.int"),
        ({"int": float("inf")}, "value.int"),
        ({"uint": float("inf")}, "value.uint"),
        ({"duration": {"seconds": float("inf")}}, "value.duration"),
        ({"bool": 1}, "value.bool"),
        ({"bytes": "xyz"}, "value.bytes"),
        ({"type": 1}, "value.type"),
        ({"duration": 1}, "value.duration"),
        ({"number": 1}, "value.number"),
        ({"list": {}}, "value.list"),
        ({"list": [1]}, "value.list[0]"),
        ({"map": [[1]]}, "value.map[0]"),
        ({"map": [[{"double": "1"}, {"int": "1"}]]}, "value.map[0][0]"),
    ],
)
def test_values_that_are_none(value: Any, path: str) -> None:
    case = {"section": "s", "name": "n", "expr": "1", "value": value}
    with pytest.raises(Invalid) as caught:
        read_cases(json.dumps({"tests": [case]}))
    assert caught.value.path == f"tests[0].{path}"


def test_either_a_value_or_an_error() -> None:
    both = {"section": "s", "name": "n", "expr": "1", "value": {"int": "1"}, "error": ["x"]}
    for case in (both, {key: both[key] for key in ("section", "name", "expr")}):
        with pytest.raises(Invalid, match="either value or error"):
            read_cases(json.dumps({"tests": [case]}))


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["tests", "section", "name", "expr", "value", "list", "map", "int"]),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)


@given(st.one_of(st.text(max_size=50), _JSON.map(json.dumps)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        cases = read_cases(text)
    except Invalid:
        return
    for case in cases:
        run_case(case)


def test_depth_is_bounded() -> None:
    value: Any = {"int": "1"}
    for _ in range(100):
        value = {"list": [value]}
    with pytest.raises(Invalid):
        run("1", value)
    with pytest.raises(Invalid, match="not JSON"):
        read_cases("[" * 100_000)
