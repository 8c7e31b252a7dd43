from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.policy.cel.errors import BudgetError, EvaluationError, MissingDataError
from octelium.vigil.computed import Computed

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_a_text_is_used() -> None:
    assert Computed("x", lambda ctx: ctx["a"]).text({"a": "b"}) == "b"
    assert Computed("x", lambda _: "").text({}) == ""


@pytest.mark.parametrize("result", [None, True, 1, 1.5, ["a"], {"a": 1}, b"a"])
def test_nothing_else_is(result: object) -> None:
    assert Computed("x", lambda _: result).text({}) is None


@pytest.mark.parametrize("error", [EvaluationError, MissingDataError, BudgetError])
def test_a_failure_gives_nothing_and_is_told_once(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_ctx: Mapping[str, object]) -> object:
        raise error("the reason")

    computed = Computed("field x-user", fail)
    for _ in range(3):
        assert computed.text({}) is None
    (record,) = caplog.records
    assert record.message == "the expression of field x-user is not applied: the reason"


def test_a_bug_is_no_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        Computed("x", lambda _: 1 / 0).text({})
