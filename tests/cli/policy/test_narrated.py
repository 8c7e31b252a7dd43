from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.policy.narrated import show_explanation
from octelium.cli.terminal import Terminal
from octelium.policy.narration import narrate
from tests.cli.policy.explanations import V, explanation

if TYPE_CHECKING:
    import pytest

TOLD = explanation((0, "reads " * 30, V.TRUE, True))


class Screen(Terminal):
    """A terminal of 60 columns, which keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__({})
        self.lines: list[str] = []

    def show(self, text: str) -> None:
        self.lines.append(text)

    def columns(self) -> int | None:
        return 60

    def style(self, text: str, *styles: str) -> str:
        return f"<{styles[0]}>{text}"


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_explanation(Terminal({}), TOLD, "  ")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"  {'  ' * line.indent}{line.text}".rstrip() if line.text else "" for line in narrate(TOLD)
    ]


def test_a_terminal_gets_lines_that_fit_in_colour() -> None:
    screen = Screen()
    show_explanation(screen, TOLD, "  ")
    assert screen.lines[0] == "  <green>It is ALLOWED."
    assert "  <bold>Steps" in screen.lines
    assert all(len(line.replace("<", ">").split(">")[-1]) <= 60 for line in screen.lines)
    assert sum("reads" in line for line in screen.lines) > 2


def test_control_characters_do_nothing() -> None:
    screen = Screen()
    told = explanation(outcome="ALLOWED\x1b[2J\n\u202e")
    show_explanation(screen, told)
    assert not any("\x1b" in line or "\n" in line or "\u202e" in line for line in screen.lines)
