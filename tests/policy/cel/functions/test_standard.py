from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import CelError
from octelium.policy.cel.functions.standard import format_double, pattern
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.values import Duration, UInt
from tests.policy.cel.evaluation import failure, value


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (8080.0, "8080"),
        (123.456, "123.456"),
        (-0.0045, "-0.0045"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (100000.0, "100000"),
        (1000000.0, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (1e300, "1e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_doubles_as_go_writes_them(number: float, text: str) -> None:
    assert format_double(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_survive_their_text(number: float) -> None:
    assert float(format_double(number)) == number
    assert float(format_double(number, high=21)) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int('+12')", 12),
        ("int(9.99)", 9),
        ("int(-9.99)", -9),
        ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
        ("int(duration('1us'))", 1000),
        ("uint(1.9)", UInt(1)),
        ("uint('18446744073709551615')", UInt(2**64 - 1)),
        ("double('-1e3')", -1000.0),
        ("double('.5')", 0.5),
        ("double('inf')", math.inf),
        ("double(7u)", 7.0),
        ("bool('True')", True),
        ("string(true)", "true"),
        ("string(1.5)", "1.5"),
        ("string(duration('90s'))", "90s"),
        ("string(timestamp(0))", "1970-01-01T00:00:00Z"),
        ("bytes('é')", "é".encode()),
        ("duration(duration('1s'))", Duration(10**9)),
        ("size('🐱é')", 2),
        ("size(b'abc')", 3),
        ("timestamp('2026-01-31T12:34:56.789Z').getMilliseconds()", 789),
        ("timestamp('2026-01-31T12:34:56Z').getMonth()", 0),
        ("timestamp('2026-01-31T12:34:56Z').getDate()", 31),
        ("timestamp('2026-01-31T12:34:56Z').getDayOfMonth()", 30),
        ("timestamp('2026-01-31T12:34:56Z').getDayOfYear()", 30),
        ("timestamp('2026-02-01T12:34:56Z').getDayOfWeek()", 0),
        ("timestamp('2026-01-31T23:30:00Z').getDate('Asia/Tokyo')", 1),
        ("timestamp('2026-01-31T23:30:00Z').getMilliseconds('Asia/Tokyo')", 0),
        ("duration('-90m').getHours()", -1),
        ("duration('1500ms').getMilliseconds()", 500),
        ("'🐱😀'.contains('😀')", True),
        ("'hubba'.matches('^h.*a$')", True),
        ("'x'.matches('')", True),
    ],
)
def test_functions(text: str, expected: object) -> None:
    made = value(text)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "int('0x10')",
        "int('1_000')",
        "int(' 1')",
        "int('')",
        "int('99999999999999999999')",
        "int(1e19)",
        "int(dyn(true))",
        "int(double('nan'))",
        "uint(-1)",
        "uint('-1')",
        "uint(-0.5)",
        "double('1_0')",
        "double('')",
        "double('1e999')",
        "double('٣')",
        "bool('yes')",
        "string(b'\\xff')",
        "string(dyn([1]))",
        "timestamp('yesterday')",
        "timestamp(dyn(1.5))",
        "duration('1d')",
        "duration(dyn(1))",
        "size(dyn(1))",
        "dyn(1).contains('a')",
        "'a'.startsWith(dyn(1))",
        "dyn(b'a').endsWith('a')",
        "dyn(1).matches('a')",
        "'a'.matches(dyn('('))",
        "'a'.matches(dyn('(?=a)'))",
        "'a'.matches(dyn('(a)\\\\1'))",
        "timestamp(0).getHours('Nowhere')",
        "timestamp(0).getMilliseconds('Nowhere')",
        "dyn(1).getHours()",
        "dyn(duration('1s')).getHours('UTC')",
        "dyn(duration('1s')).getFullYear()",
        "dyn('\\ud7ff').matches(dyn(1))",
    ],
)
def test_errors(text: str) -> None:
    assert failure(text)


def test_patterns_take_linear_time() -> None:
    # (a*)*b on a run of a's takes exponential time where a pattern may backtrack.
    frame = new_frame({"text": "a" * 100_000})
    from octelium.policy.cel.program import compile_program

    assert not compile_program("ctx.text.matches('^(a*)*b$')").test(frame)
    assert not compile_program("ctx.text.matches(ctx.text + '{1000}b')").test(
        new_frame({"text": "a"})
    )


def test_patterns_are_bounded_in_size() -> None:
    with pytest.raises(CelError, match="regular expression"):
        pattern("((((a{100}){100}){100}){100}){100}")


def test_half_a_character_matches_nothing() -> None:
    from octelium.policy.cel.program import compile_program

    with pytest.raises(CelError, match="Unicode"):
        compile_program("ctx.text.matches('a')").test(new_frame({"text": "\udcff"}))
