from __future__ import annotations

from octelium.cli.policy.folding import folded


def test_pipes_get_one_line() -> None:
    assert folded("a b " * 50, None, 4) == ["a b " * 50]


def test_terminals_get_lines_that_fit() -> None:
    rows = folded("well-known words " * 9, 60, 10, 4)
    assert len(rows) > 2
    assert all(len(row) <= 50 for row in rows)
    assert rows[0].startswith("well-known")
    assert all(row.startswith("    ") for row in rows[1:])
    assert "".join(rows).replace(" ", "") == ("well-knownwords" * 9)


def test_narrow_terminals_and_long_words() -> None:
    assert folded("a" * 90, 10, 8) == ["a" * 90]
    assert max(map(len, folded("ab " * 40, 10, 8))) > 30


def test_the_first_word_is_never_alone() -> None:
    assert folded("if " + "a" * 60, 50, 0) == ["if " + "a" * 60]
    assert folded("if b " + "a" * 60, 50, 0, 4) == ["if b", "    " + "a" * 60]


def test_nothing_and_control_characters() -> None:
    assert folded("", 80, 0) == [""]
    assert folded("a\x1b[31m\nb", 80, 0) == ["a\\x1b[31m\\nb"]
