"""The tour that the README promises."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.cluster import ROOT


def test_the_demonstration_comes_out_as_it_should() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/demo.py"), "--exit"],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok ") >= 10
    assert "FAILED" not in done.stdout
