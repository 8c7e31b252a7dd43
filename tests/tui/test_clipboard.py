from __future__ import annotations

import pytest

from octelium.tui.clipboard import MOST, obstacle, remark


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"TERM": "xterm-256color"}, ""),
        ({"TERM": "linux"}, "linux"),
        ({"TERM_PROGRAM": "Apple_Terminal"}, "Terminal.app"),
        ({"TERM": "screen", "STY": "1.pts"}, "GNU screen"),
        ({"TERM": "screen", "STY": "1.pts", "TMUX": "/tmp/x"}, ""),
    ],
)
def test_terminals_that_take_no_copies(environ: dict[str, str], word: str) -> None:
    found = obstacle("text", environ)
    assert word in found
    assert bool(found) == bool(word)


def test_what_is_too_long_is_not_copied_in_part() -> None:
    assert not obstacle("x" * MOST, {})
    assert "55 kB" in obstacle("é" * (MOST // 2 + 1), {})


def test_what_may_keep_a_copy_from_arriving() -> None:
    assert "set-clipboard" in remark({"TMUX": "/tmp/x"})
    assert "VTE" in remark({"VTE_VERSION": "7000"})
    assert "OSC 52" in remark({})
