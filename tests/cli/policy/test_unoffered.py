from __future__ import annotations

import pytest

from octelium.cli.policy.unoffered import UNOFFERED, unoffered
from octelium.policy.cel.errors import CompileError


@pytest.mark.parametrize(
    "text",
    [
        "[1].all(i, v, i < v)",
        "[1].exists(i, v, i < v)",
        "[1].existsOne(i, v, i < v)",
        "[1].transformList(i, v, v)",
        "[1].transformList(i, v, true, v)",
        "{1: 2}.transformMap(k, v, v)",
        "{1: 2}.transformMapEntry(k, v, {v: k})",
        "1 == 2 || [{'a': [1].all(i, v, i < v)}] == [has(ctx.x)] || [1].exists(v, v == 2)",
        "[2].exists(e, [1].all(i, v, i < e))",
        "ctx.list.all(i, v, i < v).x",
    ],
)
def test_macros_with_two_variables_are_named(text: str) -> None:
    assert "a macro with two variables" in unoffered(text)


@pytest.mark.parametrize(
    "text", ["[1].all(v, v > 0)", "[1].map(v, v > 0, v)", "all(1, 2, 3)", "x.transformList(1)"]
)
def test_everything_else_is_not(text: str) -> None:
    assert unoffered(text) == ""


def test_what_cannot_be_parsed() -> None:
    with pytest.raises(CompileError):
        unoffered("1 +")


def test_every_entry_has_a_reason() -> None:
    assert all(entry.reason and entry.arguments for entry in UNOFFERED)
