from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from octelium.cli.terminal import Terminal

if TYPE_CHECKING:
    import pytest


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_was_asked_for_is_on_stdout_and_the_rest_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal({})
    terminal.show("asked")
    terminal.show("with a newline\n")
    terminal.note("by the way")
    terminal.warn("careful")
    terminal.fail("wrong", "do this")
    seen = capsys.readouterr()
    assert seen.out == "asked\nwith a newline\n"
    assert seen.err == "by the way\nWarning: careful\nError: wrong\n  do this\n"


def test_messages_are_inert(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal({}).fail("first\nsecond \x1b[2J")
    assert capsys.readouterr().err == "Error: first\nsecond \\x1b[2J\n"


def test_colour_only_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Terminal({}).style("x", "bold") == "x"
    monkeypatch.setattr(sys, "stdout", Tty())
    assert Terminal({}).style("x", "bold", "red") == "\x1b[1;31mx\x1b[0m"
    assert Terminal({"NO_COLOR": "1"}).style("x", "bold") == "x"
    assert Terminal({"TERM": "dumb"}).style("x", "bold") == "x"


def test_the_word_stays_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Tty()
    monkeypatch.setattr(sys, "stderr", error)
    Terminal({}).warn("careful")
    assert error.getvalue() == "\x1b[33mWarning:\x1b[0m careful\n"
