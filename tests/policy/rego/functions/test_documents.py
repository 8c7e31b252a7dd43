from __future__ import annotations

import pytest

from octelium.policy.rego.needed import RegoBudgetError
from tests.policy.rego.evaluation import result
from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            'json.marshal([1, 1.5, "ñ", true, null, {"b", "a"}, {2: 3}])',
            '[1,1.5,"ñ",true,null,["a","b"],{"2":3}]',
        ),
        ('json.marshal("<a>&\\u2028")', '"\\u003ca\\u003e\\u0026\\u2028"'),
        ('json.marshal_with_options([1], {"pretty": true})', "[\n\t1\n]"),
        ('json.marshal_with_options([1], {"prefix": ">", "indent": " "})', "[\n> 1\n>]"),
        ('json.marshal_with_options([1], {"indent": " ", "pretty": false})', "[1]"),
        ("json.marshal_with_options({}, {})", "{}"),
        ('json.unmarshal(" 1 ")', 1),
        ('json.unmarshal("1e2")', 100),
        ('json.unmarshal("\\"a\\"")', "a"),
        ('json.unmarshal("null")', None),
        ('json.unmarshal("{\\"a\\": 1, \\"a\\": 2}")', {"a": 2}),
        ('json.is_valid("")', False),
        ('json.is_valid("NaN")', False),
        ("json.is_valid(1)", False),
        ('json.is_valid("[1]")', True),
        ('yaml.unmarshal("")', None),
        ('yaml.unmarshal("2020-01-01")', "2020-01-01"),
        ('yaml.unmarshal("{1: a, true: b}")', {"1": "a", "true": "b"}),
        ('yaml.unmarshal("1.5")', 1.5),
        ('yaml.is_valid("a: &x 1\\nb: *x")', False),
        ('yaml.is_valid("a: !!python/none")', False),
        ("yaml.is_valid(1)", False),
        ('yaml.is_valid("a: 1\\na: 2")', False),
        ('yaml.is_valid("- a")', True),
        ("count(json.unmarshal(json.marshal(numbers.range(1, 100))))", 100),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ('json.unmarshal("{")', "no JSON"),
        ('json.unmarshal("Infinity")', "no JSON"),
        ("json.unmarshal(1)", "must be string"),
        ('json.unmarshal("1e999")', "too large"),
        ('json.unmarshal(concat("", ["[" | some i in numbers.range(1, 9000)]))', "no JSON"),
        ('json.unmarshal(concat("", ["9" | some i in numbers.range(1, 9000)]))', "300 characters"),
        ('json.marshal_with_options(1, {"x": 1})', "the options have no"),
        ('json.marshal_with_options(1, {"pretty": 1})', "must be a boolean"),
        ('json.marshal_with_options(1, {"indent": 1})', "must be string"),
        ("json.marshal_with_options(1, [])", "argument 2 must be object"),
        ('yaml.unmarshal("a: [")', "no YAML"),
        ('yaml.unmarshal("a: &x 1\\nb: *x")', "aliases"),
        ('yaml.unmarshal("!!python/object:os.system {}")', "no YAML"),
        ('yaml.unmarshal("a: .nan")', "no YAML"),
        ('yaml.unmarshal("? [a]\\n: b")', "no YAML"),
        ("yaml.unmarshal(1)", "must be string"),
        ('yaml.unmarshal("a\\n---\\nb")', "no YAML"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)


def test_indents_are_charged() -> None:
    def indented(levels: int) -> str:
        document = "[" * levels + "1, 2, 3, 4" + "]" * levels
        return f'match if json.marshal_with_options({document}, {{"indent": "{" " * 200}"}}) != ""'

    assert result(indented(2), steps=500) is True
    with pytest.raises(RegoBudgetError):
        result(indented(30), steps=500)
