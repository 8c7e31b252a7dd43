"""The built file, which the documents' Cluster is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.cluster import ROOT, ZIPAPP


@pytest.fixture(scope="session", autouse=True)
def zipapp() -> None:
    """Build it if nobody has."""
    if not ZIPAPP.exists():
        subprocess.run([sys.executable, ROOT / "scripts/build_zipapp.py"], check=True)
