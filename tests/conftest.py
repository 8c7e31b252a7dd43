"""How long property tests run: a twentieth by default, whole with OCTELIUM_SOAK=1.

A failing example is printed in a form that repeats it.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

SOAK = os.environ.get("OCTELIUM_SOAK") == "1"
"""Whether this is the long run of `./build.sh bench soak`."""

# Machines are shared and slow at times; a time limit within a test would only be noise.
_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", _COMMON, max_examples=100)
settings.register_profile("soak", _COMMON, max_examples=2000)
settings.load_profile("soak" if SOAK else "short")

_BEGAN = time.time()

# A shell ignores SIGINT for what it starts in the background, and processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where the pictures of pages are, if some were taken."""
    from tests.e2e import pictures

    if count := pictures.write_index(pictures.folder(), _BEGAN):
        where = pictures.folder() / "index.html"
        terminalreporter.write_line(f"{count} screenshots: {where}")
