from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import CompileError, EvaluationError, MissingDataError
from octelium.policy.value import compile_value

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_texts() -> None:
    assert compile_value("ctx.user.name + '!'").text({"user": {"name": "ann"}}) == "ann!"
    with pytest.raises(MissingDataError):
        compile_value("ctx.user.name").text({})
    with pytest.raises(EvaluationError, match="must be a string"):
        compile_value("ctx.port").text({"port": 1})
    with pytest.raises(CompileError):
        compile_value("ctx.")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("{'upstream': {'url': 'http://a'}}", {"upstream": {"url": "http://a"}}),
        ("{'port': ctx.port, 'ratio': 0.5}", {"port": 8080, "ratio": 0.5}),
        ("[1, 2u, null, true]", [1, 2, None, True]),
        ("b'hi'", "aGk="),
        ("timestamp(0)", "1970-01-01T00:00:00Z"),
        ("duration('90s')", "90s"),
        ("now()", "1970-01-01T00:00:05Z"),
    ],
)
def test_json_forms(text: str, form: object) -> None:
    assert compile_value(text).json({"port": 8080}, now=5) == form


@pytest.mark.parametrize("text", ["{1: 2}", "{true: 2}", "[type(1)]", "1.0 / 0.0"])
def test_what_has_no_json_form(text: str) -> None:
    with pytest.raises(EvaluationError):
        compile_value(text).json({})


def test_depth_and_size_are_bounded() -> None:
    deep: object = 1
    for _ in range(80):
        deep = [deep]
    with pytest.raises(EvaluationError, match="nested"):
        compile_value("ctx.deep").json({"deep": deep})
    with pytest.raises(EvaluationError):
        compile_value("ctx.wide").json({"wide": [0] * 300_000})


@given(JSON)
def test_json_survives(form: object) -> None:
    assert compile_value("ctx.value").json({"value": form}) == form


def test_only_what_is_read_is_looked_at() -> None:
    class Untouched(dict[str, object]):
        def items(self) -> object:  # type: ignore[override]  # it must not be called
            raise AssertionError

    ctx = {"user": {"name": "ann", "rest": Untouched()}, "session": Untouched()}
    assert compile_value("ctx.user.name").text(ctx) == "ann"
    assert compile_value("has(ctx.device) ? 'yes' : 'no'").text(ctx) == "no"
