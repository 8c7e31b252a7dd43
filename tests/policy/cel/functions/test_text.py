from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import BudgetError, EvaluationError
from octelium.policy.cel.functions.text import format_text, split
from octelium.policy.cel.operators import MAX_ITEMS
from octelium.policy.cel.program import compile_program, new_frame
from tests.policy.cel.evaluation import failure, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'añb'.charAt(1)", "ñ"),
        ("'ab'.charAt(2)", ""),
        ("'aba'.indexOf('a', 1)", 2),
        ("'aba'.indexOf('')", 0),
        ("'aba'.lastIndexOf('a', 1)", 0),
        ("'aba'.lastIndexOf('z')", -1),
        ("'ÄB'.lowerAscii()", "Äb"),
        ("'äb'.upperAscii()", "äB"),
        ("'aaa'.replace('a', 'b', 2)", "bba"),
        ("'aaa'.replace('a', 'b', 0)", "aaa"),
        ("'aaa'.replace('a', 'b', -1)", "bbb"),
        ("'ab'.replace('', '-')", "-a-b-"),
        ("'a,b,c'.split(',')", ["a", "b", "c"]),
        ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
        ("'a,b,c'.split(',', 1)", ["a,b,c"]),
        ("'a,b,c'.split(',', 0)", []),
        ("'a,b,c'.split(',', -1)", ["a", "b", "c"]),
        ("'añb'.split('')", ["a", "ñ", "b"]),
        ("'añb'.split('', 2)", ["a", "ñb"]),
        ("''.split('')", []),
        ("''.split(',')", [""]),
        ("'abc'.substring(1)", "bc"),
        ("'abc'.substring(1, 2)", "b"),
        ("'abc'.substring(3)", ""),
        ("' \\u00a0a\\n'.trim()", "a"),
        ("'\\u001ca'.trim()", "\x1ca"),
        ("['a', 'b'].join('-')", "a-b"),
        ("['a', 'b'].join()", "ab"),
        ("'añ'.reverse()", "ña"),
        ("strings.quote('a\"\\n')", '"a\\"\\n"'),
        ("'%s %d %.1f %e %x %X %o %b %%'.format(['a', 1, 2.25, 1.5, 255, 'hi', 8, 5])",
         "a 1 2.2 1.500000e+00 ff 6869 10 101 %"),
        ("'%s'.format([[1, 'a', null, {'b': true}]])", "[1, a, null, {b: true}]"),
        ("'%s'.format([1e300])", "1" + "0" * 300),
        ("'%s'.format([0.000001])", "0.000001"),
        ("'%s'.format([8080.0])", "8080"),
        ("'%d'.format([double('Infinity')])", "Infinity"),
    ],
)  # fmt: skip
def test_functions(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "'ab'.charAt(3)",
        "'ab'.charAt(-1)",
        "'ab'.indexOf('a', 3)",
        "'ab'.indexOf('a', -1)",
        "'ab'.lastIndexOf('a', 3)",
        "'ab'.substring(2, 1)",
        "'ab'.substring(0, 3)",
        "['a', dyn(1)].join()",
        "'%s'.format([])",
        "'%q'.format([1])",
        "'%'.format([1])",
        "'%.2d'.format([1])",
        "'%.9999f'.format([1.0])",
        "'%d'.format(['a'])",
        "'%d'.format([1.5])",
        "'%f'.format(['a'])",
        "'%e'.format([true])",
        "'%b'.format([1.0])",
        "'%o'.format([true])",
        "'%x'.format([1.0])",
        "dyn(1).trim()",
        "dyn(1).reverse()",
        "dyn(1).lowerAscii()",
        "dyn(1).upperAscii()",
        "strings.quote(dyn(1))",
        "dyn('a').format(dyn(1))",
        "dyn(1).split(',')",
        "'a'.split(',', dyn('1'))",
        "'a'.replace('a', 'b', dyn('1'))",
    ],
)
def test_errors(text: str) -> None:
    assert failure(text)


def test_results_are_bounded() -> None:
    with pytest.raises(BudgetError):
        split(new_frame({}), "a" * (MAX_ITEMS + 1), "")
    frame = new_frame({"text": "a" * 4096})
    for text in (
        "ctx.text.replace('a', ctx.text)",
        "ctx.text.split('').map(x, ctx.text).join()",
    ):
        with pytest.raises(EvaluationError):
            compile_program(text).evaluate(frame)


TEXTS = st.text(alphabet="abñ🐱 ,", max_size=12)


@given(TEXTS, TEXTS, st.integers(-2, 5))
def test_split_and_join_are_inverse(text: str, separator: str, limit: int) -> None:
    parts = split(new_frame({}), text, separator, limit)
    if limit:
        assert separator.join(map(str, parts)) == text
    assert limit < 0 or len(parts) <= limit


@given(st.text(alphabet="%sdfexXob.1 9", max_size=12), st.lists(st.none() | st.integers(0, 9)))
def test_any_template_formats_or_fails(template: str, args: list[object]) -> None:
    try:
        made = format_text(new_frame({}), template, args)
    except EvaluationError:
        return
    assert isinstance(made, str)
