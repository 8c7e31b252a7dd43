"""Another try, alone, for a test or two of programs that run at once, and said aloud.

The usual run chooses nothing at random. So what fails in it and passes alone differed in time: a
machine that others use, too, or a race that is worth a look. If no more than `MOST` tests fail,
all of rooms that work with processes, threads and sockets, each is run again when the rest is over,
in a process of its own: `TIMES` times, and no failure may come. A test whose very subject is time,
against real programs and real timers, says so with `@pytest.mark.real_time("why")`; it is run once
more. What passes does not fail the run; the summary names it, with its first failure in full. What
decides, and what keeps anybody out, has one try (`ONE_TRY`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

MARK: Final = "real_time"
MOST: Final = 2
"""Tests of one run that may be tried again; where more fail, something is wrong."""
TIMES: Final = 3
"""How often a test without the mark must pass."""
ROOMS: Final = ("e2e", "install", "security", "tui", "tunnel")
"""Where tests may carry the mark."""
ONE_TRY: Final = ("house", "identity", "octovigil", "policy", "schema", "security", "store")
"""Rooms whose tests have no other try without the mark."""
_AGAIN: Final = "second try"
"""What the summary calls those that have passed."""
_WITHIN: Final = "OCTELIUM_SECOND_TRY"
_SECONDS: Final = 900
_TITLE: Final = "passed at the second try, alone"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark; have whoever sums a run up see to second tries."""
    config.addinivalue_line("markers", f"{MARK}(why): time is the subject; see tests/second_try.py")
    if not hasattr(config, "workerinput") and _WITHIN not in os.environ:
        config.pluginmanager.register(SecondTries(config), "second tries")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep the reason with the test.

    Raises:
        UsageError: the mark has no reason, or stands where it does not belong.
    """
    mark = item.get_closest_marker(MARK)
    if mark is None:
        return
    if len(mark.args) != 1 or not isinstance(mark.args[0], str) or not mark.args[0]:
        raise pytest.UsageError(f'{item.nodeid}: write {MARK}("why")')
    parts = item.path.relative_to(item.config.rootpath).parts
    if parts[0] != "tests" or parts[1] not in ROOMS:
        raise pytest.UsageError(f"{item.nodeid}: {MARK} is for tests of {', '.join(ROOMS)}")
    item.user_properties.append((MARK, mark.args[0]))


class SecondTries:
    """The failures of a run, and what becomes of them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.failed: list[pytest.TestReport] = []
        self.passed: list[pytest.TestReport] = []
        self.output: list[tuple[str, str]] = []
        """Of those that have failed again."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what may be tried again. What fails while it is taken down may not."""
        if report.failed and report.when in ("setup", "call") and _times(report):
            self.failed.append(report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Try again once all is over, if that can still save the run."""
        result = yield
        if 0 < len(self.failed) <= MOST and session.testsfailed == len(self.failed):
            for report in self.failed:
                self._try(report, session)
        return result

    def _try(self, report: pytest.TestReport, session: pytest.Session) -> None:
        if not all(self._passes(report) for _ in range(_times(report))):
            return
        session.testsfailed -= 1
        self.passed.append(report)
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            _move(report, terminal.stats)

    def _passes(self, report: pytest.TestReport) -> bool:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", report.nodeid]
        try:
            done = subprocess.run(
                command, cwd=self.config.rootpath, env={**os.environ, _WITHIN: "1"},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            self.output.append((report.nodeid, f"it takes longer than {_SECONDS} s"))
            return False
        if done.returncode != pytest.ExitCode.OK:
            self.output.append((report.nodeid, done.stdout))
            return False
        return True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name each, with its first failure in full."""
        write = terminalreporter
        if self.passed:
            write.section(_TITLE, yellow=True)
        for report in self.passed:
            why = dict(report.user_properties).get(MARK, "no test of time: look at why it failed")
            write.write_sep("_", f"{report.nodeid} ({why})", yellow=True)
            write.write_line(report.longreprtext)
        for name, output in self.output:
            write.section(f"{name} failed at the second try, too", red=True)
            write.write_line(output)


def _times(report: pytest.TestReport) -> int:
    """How often a test that failed has to pass alone; 0 if it has no other try."""
    if MARK in report.keywords:
        return 1
    room = report.nodeid.split("::")[0].removeprefix("tests/").split("/")[0]
    return 0 if room in ONE_TRY else TIMES


def _move(report: pytest.TestReport, stats: dict[str, list[object]]) -> None:
    """Count a report as what it is now. What is empty must go: its name alone makes a run red."""
    for kind in ("failed", "error"):
        if report in stats.get(kind, []):
            stats[kind].remove(report)
            if not stats[kind]:
                del stats[kind]
    stats.setdefault(_AGAIN, []).append(report)
