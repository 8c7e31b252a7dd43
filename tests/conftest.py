"""How long property tests run, and in which order several processes run the tests.

Property tests run a fortieth by default, with the same examples each time: who changes nothing is
refused nothing. With OCTELIUM_SOAK=1 they run whole, and with others each time. A failing example
is printed in a form that repeats it.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import second_try

if TYPE_CHECKING:
    from collections.abc import Generator

SOAK = os.environ.get("OCTELIUM_SOAK") == "1"
"""Whether this is the long run of `./build.sh bench soak`."""

# Machines are shared and slow at times; a time limit within a test would only be noise.
_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", _COMMON, max_examples=50, derandomize=True)
settings.register_profile("soak", _COMMON, max_examples=2000)
settings.load_profile("soak" if SOAK else "short")

SEED = int(os.environ.get("OCTELIUM_SEED", "0")) or (
    random.SystemRandom().getrandbits(30) if SOAK else 1
)
"""What tests begin with that choose at random by themselves."""

# Hundreds of programs are started, and most of the time of a start goes into compiling modules.
# They are compiled once, for test processes and programs alike, whatever this machine prefers.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_BEGAN = time.time()
_TESTS = Path(__file__).parent

# A shell ignores SIGINT for what it starts in the background, and processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LONG = ("cluster", "docs", "e2e", "install", "security", "tui", "tunnel")
"""Rooms whose modules begin with servers, screens or namespaces."""
_SHARED = ("ways", "routed", "cluster", "running", "lab")
"""Servers that several modules of a room have in common."""


def pytest_configure(config: pytest.Config) -> None:
    """Some tests have a second try."""
    config.pluginmanager.register(second_try)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every process long modules to begin with, each as a whole.

    Processes begin with equal shares of the list, and who is done takes over from the end of
    another's share. What stands there is short, so that they end at the same time.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if count == 1:
        return
    groups: dict[tuple[str, str], list[pytest.Item]] = {}
    short: list[pytest.Item] = []
    for item in items:
        room = item.path.relative_to(_TESTS).parts[0]
        if room in _LONG:
            used: list[str] = getattr(item, "fixturenames", [])
            server = next((name for name in _SHARED if name in used), str(item.path))
            groups.setdefault((room, server), []).append(item)
        else:
            short.append(item)
    piles: list[list[pytest.Item]] = [[] for _ in range(count)]
    for number, group in enumerate(groups.values()):
        piles[number % count] += group
    share = len(items) // count
    items.clear()
    for pile in piles:
        most = max(0, share - len(pile))
        items += pile + short[:most]
        del short[:most]
    items += short


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have the collector of garbage leave alone what lasts as long as the process: all tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where the pictures of pages are, if some were taken."""
    from tests.e2e import pictures

    if count := pictures.write_index(pictures.folder(), _BEGAN):
        where = pictures.folder() / "index.html"
        terminalreporter.write_line(f"{count} screenshots: {where}")
