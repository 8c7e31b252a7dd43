from __future__ import annotations

from octelium.tui.lines import Line, Tone, difference, section, told


def test_texts_become_inert_lines() -> None:
    assert told("a\nb\x1b", Tone.BAD) == [Line("a", Tone.BAD), Line("b\\x1b", Tone.BAD)]


def test_a_section_without_texts_is_nothing() -> None:
    assert section("Notes", []) == []
    assert section("Notes", ["x\ny"]) == [
        Line(""), Line("Notes", Tone.HEADING), Line("  x"), Line("  y")
    ]  # fmt: skip


def test_a_difference_is_coloured_by_its_marks() -> None:
    lines = difference("--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n z")
    assert [line.tone for line in lines] == [
        Tone.HEADING, Tone.HEADING, Tone.ACCENT, Tone.BAD, Tone.GOOD, Tone.PLAIN
    ]  # fmt: skip
