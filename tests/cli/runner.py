"""Runs a program as `octelium.cli.entry` does, with everything around it in the test's hands."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from octelium.cli.invocation import Invocation
from octelium.cli.program import program
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from tests.client.standin import NOW

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Result:
    """What a person and a script see of a command."""

    code: int
    out: str
    err: str


@dataclass
class Runner:
    """Runs programs with an environment; the clock stands still."""

    environ: dict[str, str]
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    now: float = NOW
    slept: list[float] = field(default_factory=list)

    def __call__(self, name: str, *arguments: str, stdin: str | bytes = b"") -> Result:
        """Run `name arguments...`."""
        content = stdin.encode() if isinstance(stdin, str) else stdin
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "utf-8"))
        invocation = Invocation(self.environ, clock=lambda: self.now, sleep=self.slept.append)
        code = program(name).run(list(arguments), invocation)
        seen = self.capsys.readouterr()
        return Result(code, seen.out, seen.err)

    def ctl(self, *arguments: str, stdin: str | bytes = b"") -> Result:
        """Run octeliumctl."""
        return self("octeliumctl", *arguments, stdin=stdin)

    def works(self, *arguments: str, stdin: str | bytes = b"") -> str:
        """Run octeliumctl, which must succeed and have nothing to say on stderr; its output."""
        result = self.ctl(*arguments, stdin=stdin)
        assert (result.code, result.err) == (0, "")
        return result.out


def resource(kind: str, name: str, **parts: Any) -> Any:
    """A resource as a file declares it."""
    value = {"kind": kind, "metadata": {"name": name}, "spec": {}, **parts}
    return from_json(KINDS[kind].message, value)
