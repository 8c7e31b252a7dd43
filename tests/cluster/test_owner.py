from __future__ import annotations

import json
import os
import pwd
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cluster.owner import OwnerError, become, owner_of
from octelium.tunnel.link import capabilities
from tests.tunnel.link import worlds

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = pwd.getpwuid(worlds.NOBODY)
BIND = 1 << capabilities.NET_BIND_SERVICE
_BECOME = """
import json, os, pwd, socket, subprocess, sys
from pathlib import Path
from octelium.cluster.owner import become

def lines(text):
    return {line.split(":")[0]: line.split()[1:] for line in text.splitlines()}

become(pwd.getpwuid(int(sys.argv[2])), Path(sys.argv[1]), os.environ)
with socket.socket() as low:
    low.bind(("0.0.0.0", 81))
child = lines(subprocess.check_output(["cat", "/proc/self/status"], text=True))
own = lines(Path("/proc/self/status").read_text())
try:
    os.setuid(0)
    back = True
except PermissionError:
    back = False
Path(sys.argv[1], "made").touch()
print(json.dumps({"own": own, "child": child, "back": back, "home": os.environ["HOME"]}))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that everybody may pass through."""
    if os.geteuid() != 0:
        pytest.skip("not verified: run the tests as root")
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def started(python: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """A process of root's in a network of its own, which becomes nobody."""
    words = ["unshare", "--net", python, "-P", "-s", "-c", _BECOME, str(data_dir)]
    return subprocess.run(
        [*words, str(worlds.NOBODY)],
        cwd=worlds.ROOT,
        env={"PYTHONPATH": str(worlds.ROOT), "PATH": os.environ["PATH"], "HOME": "/root"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_of_root_is_left_but_low_ports(folder: Path) -> None:
    ended = started(worlds.everybodys_python(), folder / "data")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    own, child = found["own"], found["child"]
    assert own["Uid"] == [str(NOBODY.pw_uid)] * 4
    assert own["Gid"] == [str(NOBODY.pw_gid)] * 4
    assert set(own["Groups"]) <= {str(NOBODY.pw_gid)}
    assert [int(own[name][0], 16) for name in ("CapEff", "CapPrm", "CapAmb")] == [BIND, BIND, 0]
    assert [int(child[name][0], 16) for name in ("CapEff", "CapPrm", "CapInh")] == [0, 0, 0]
    assert found["back"] is False
    assert found["home"] == NOBODY.pw_dir
    assert (folder / "data").stat().st_uid == (folder / "data/made").stat().st_uid == NOBODY.pw_uid
    assert owner_of("", folder / "data") == NOBODY


def test_a_program_that_the_user_cannot_read_is_told(folder: Path) -> None:
    code = folder / "code"
    code.mkdir(mode=0o700)
    (code / "octelium").symlink_to(worlds.ROOT / "octelium")
    python = worlds.everybodys_python()
    words = ["unshare", "--net", python, "-P", "-s", "-c", _BECOME, str(folder / "data")]
    ended = subprocess.run(
        [*words, str(worlds.NOBODY)],
        cwd=code,
        env={"PYTHONPATH": str(code), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "cannot read" in ended.stderr
    assert "SHIV_ROOT" in ended.stderr


def test_a_folder_of_somebody_else_is_refused(folder: Path) -> None:
    (folder / "kept").touch()
    with pytest.raises(OwnerError, match=f"chown -R {NOBODY.pw_name} {folder}"):
        become(NOBODY, folder, {})
    assert os.geteuid() == 0


def test_who_is_not_root_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.geteuid())
    assert owner_of("", tmp_path) is None
    assert owner_of(me.pw_name, tmp_path) is None
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert owner_of("", tmp_path / "none") is None
    with pytest.raises(OwnerError, match="only root becomes"):
        owner_of(NOBODY.pw_name, tmp_path)


def test_root_without_a_folder_stays_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert owner_of("", tmp_path / "none") is None


def test_unknown_users_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OwnerError, match="useradd --system no-such-user"):
        owner_of("no-such-user", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def nobody(_uid: int) -> Any:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(OwnerError, match="belongs to nobody known here"):
        owner_of("", tmp_path)
