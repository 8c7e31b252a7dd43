"""Real shells on a terminal of their own, typed at by a test."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from typing import TYPE_CHECKING, Self

from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECONDS = 180.0
"""Until a shell that says nothing is given up; machines may be busy."""
_PATIENCE = 5.0
"""Seconds after which a key is pressed again; more each time, for programs that start slowly."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?=>]*[a-zA-Z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|.)")
_START = {
    "bash": (
        ["--noprofile", "--norc", "-i"],
        "bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'",
    ),
    "zsh": (["-f", "-i"], "autoload -Uz compinit && compinit -D -u; setopt no_beep; LISTMAX=0"),
    "fish": (["--no-config", "-i"], "set -g fish_greeting; set -g fish_autosuggestion_enabled 0"),
}
_SOURCE = {"fish": "{0} completion fish | source"}


class Shell:
    """An interactive shell with the completion of both programs."""

    def __init__(self, name: str, environ: dict[str, str], folder: Path) -> None:
        self.name = name
        path = program(name, name)
        arguments, settings = _START[name]
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            # With a terminal to control: shells without one edit no lines.
            [program("setsid", "util-linux"), "--ctty", "--wait", path, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environ, "TERM": "dumb" if name != "fish" else "xterm", "PS1": "> "},
            cwd=folder,
        )
        os.close(slave)
        self.seen = ""
        """What it has written since the last line was typed."""
        self._marks = 0
        source = _SOURCE.get(name, "source <({0} completion {1})")
        programs = ("octelium", "octeliumctl")
        for line in (settings, *(source.format(each, name) for each in programs)):
            self._type(f"{line}\r")
        self._synchronise()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def completes(self, line: str, *words: str) -> bool:
        """Whether Tab after `line` brings all of `words` onto the terminal, within some minutes.

        Names of a Cluster that are not there within a moment stay away, so it is pressed again.
        """
        patience, end = _PATIENCE, time.monotonic() + _SECONDS
        while time.monotonic() < end:
            self._synchronise()
            self._type(f"{line}\t")
            if self._until(lambda text: all(word in text for word in words), patience / 2):
                return True
            self._type("\t")  # some list the words at the second time only
            if self._until(lambda text: all(word in text for word in words), patience):
                return True
            patience *= 1.5
        return False

    def _synchronise(self) -> None:
        """Wait until the shell has done all that was typed, and forget what it said."""
        self._marks += 1
        mark = f"ready-{self._marks}-"
        # Not Ctrl-C, which would make the terminal drop what is typed after it.
        self._type(f"\x15echo {mark.upper()} | tr A-Z a-z\r")
        assert self._until(lambda text: mark in text, _SECONDS), self.seen
        self.seen = ""

    def _until(self, holds: Callable[[str], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not holds(_ESCAPES.sub("", self.seen)):
            left = end - time.monotonic()
            if left <= 0:
                return False
            if select.select([self._master], [], [], left)[0]:
                self.seen += os.read(self._master, 65536).decode("utf-8", "replace")
        return True

    def _type(self, keys: str) -> None:
        os.write(self._master, keys.encode())
