from __future__ import annotations

import errno
import io
import subprocess
import sys

import pytest

from octelium.cli.terminal import OutputError, Terminal


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


def test_the_width_is_a_screens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    assert Terminal({}).columns() is None
    monkeypatch.setattr(sys, "stdout", Tty())
    assert Terminal({}).columns() == 77


class Full(Tty):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_output_that_nobody_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OutputError, match="cannot write the output: No space left on device"):
        Terminal({}).show("x")
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="stdout is closed"):
        Terminal({}).show("x")
    assert Terminal({}).style("x", "bold") == "x"
    monkeypatch.setattr(sys, "stderr", None)
    Terminal({}).warn("nobody reads this")


class Gone(Tty):
    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_reader_that_has_seen_enough_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(SystemExit) as ended:
        Terminal({}).show("x")
    assert ended.value.code == 141
    assert capsys.readouterr().err == ""


def test_the_word_stays_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Tty()
    monkeypatch.setattr(sys, "stderr", error)
    Terminal({}).warn("careful")
    assert error.getvalue() == "\x1b[33mWarning:\x1b[0m careful\n"


def test_characters_that_the_locale_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    Terminal({}).show("✓ done → ü")
    assert stream.buffer.getvalue() == b"? done ? ?\n"


def test_stderr_can_be_lost_for_good() -> None:
    code = (
        "import os, sys; from octelium.cli.terminal import Terminal, silence_stderr\n"
        "silence_stderr(); Terminal({}).warn('x'); os.write(2, b'y'); Terminal({}).show('asked')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("asked\n", "")
