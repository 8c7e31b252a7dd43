from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.backups import DOMAIN, cluster_at

if TYPE_CHECKING:
    from tests.cli.runner import Runner

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(asyncio.run(cluster_at(tmp_path / "data")).root)


def test_what_is_in_it_and_what_is_not(offline: Runner, tmp_path: Path, data: str) -> None:
    done = offline("octops", "backup", str(tmp_path / "x"), "--data-dir", data)
    assert (done.code, done.out) == (0, "")
    assert f"{DOMAIN} at revision 2" in done.err
    assert "keep it as secret as the Cluster itself" in done.err
    assert "Not in it: settings, access log (--logs)." in done.err
    assert (tmp_path / "x").stat().st_size > 10_000
    done = offline("octops", "backup", str(tmp_path / "y"), "--without-key", "--data-dir", data)
    assert "The key of the Secrets is not in it" in done.err


def test_why_there_is_none(offline: Runner, tmp_path: Path, data: str) -> None:
    done = offline("octops", "backup", str(tmp_path / "x"), "--data-dir", str(tmp_path / "no"))
    assert (done.code, done.out) == (1, "")
    assert "there is no Cluster in" in done.err
    assert "--data-dir" in done.err
    (tmp_path / "x").touch()
    done = offline("octops", "backup", str(tmp_path / "x"), "--data-dir", data)
    assert (done.code, "exists already" in done.err) == (1, True)


def test_into_a_directory_that_is_not_there(offline: Runner, tmp_path: Path, data: str) -> None:
    missing = tmp_path / "nodir"
    done = offline("octops", "backup", str(missing / "x"), "--data-dir", data)
    assert (done.code, missing.exists()) == (1, False)
    assert f"there is no directory {missing}\n  mkdir -p {missing}\n" in done.err


def test_to_a_pipe_and_back_from_one(offline: Runner, tmp_path: Path, data: str) -> None:
    words = [sys.executable, "-m", "octelium", "octops", "backup", "-", "--data-dir", data]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert f"{DOMAIN} at revision 2" in done.stderr.decode()
    other = str(tmp_path / "other")
    back = offline("octops", "restore", "-", "--data-dir", other, stdin=done.stdout)
    assert (back.code, f"{DOMAIN} is as it was" in back.err) == (0, True)


def test_to_no_terminal(offline: Runner, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    done = offline("octops", "backup", "-", "--data-dir", data)
    assert (done.code, done.out) == (2, "")
    assert "no text for a terminal" in done.err
