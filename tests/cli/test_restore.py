from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from octelium.cluster.layout import Layout
from tests.cluster.backups import DOMAIN, cluster_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner


def test_back_again(offline: Runner, tmp_path: Path) -> None:
    data, backup = asyncio.run(cluster_at(tmp_path / "data")).root, str(tmp_path / "x")
    assert offline("octops", "backup", backup, "--without-key", "--data-dir", str(data)).code == 0
    other = tmp_path / "other"
    done = offline("octops", "restore", backup, "--data-dir", str(other))
    assert (done.code, done.out) == (1, "")
    assert "without the key of its Secrets" in done.err
    assert "--key" in done.err
    key = ("--key", str(Layout(data).store / "vault.key"))
    done = offline("octops", "restore", backup, *key, "--data-dir", str(other))
    assert (done.code, done.out) == (0, "")
    assert f"{DOMAIN} is as it was on 20" in done.err
    assert "at revision 2" in done.err
    assert "are good again: end them anew" in done.err
    done = offline("octops", "restore", backup, *key, "--data-dir", str(other))
    assert (done.code, "--replace" in done.err) == (1, True)
    done = offline("octops", "restore", backup, *key, "--replace", "--data-dir", str(other))
    assert (done.code, f"is in {other}/replaced-20" in done.err) == (0, True)


def test_files_that_are_none(offline: Runner, tmp_path: Path) -> None:
    other = tmp_path / "other"
    done = offline("octops", "restore", str(tmp_path / "no"), "--data-dir", str(other))
    assert (done.code, "cannot read" in done.err) == (1, True)
    (tmp_path / "x").write_bytes(b"text")
    done = offline("octops", "restore", str(tmp_path / "x"), "--data-dir", str(other))
    assert (done.code, "this is no backup of `octops backup`" in done.err) == (1, True)
