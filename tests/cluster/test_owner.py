from __future__ import annotations

import json
import os
import pwd
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cluster.owner import OwnerError, owner_of
from octelium.tunnel.link import capabilities
from tests.tunnel.link import worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    assert {path.name for path in folder.iterdir()} == {"code"}


def test_an_empty_folder_of_roots_is_given(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    ended = started(worlds.everybodys_python(), data)
    assert ended.returncode == 0, ended.stderr
    assert data.stat().st_uid == (data / "made").stat().st_uid == NOBODY.pw_uid
    assert folder.stat().st_uid == 0


def test_root_makes_what_the_user_may_not(folder: Path) -> None:
    ended = started(worlds.everybodys_python(), folder / "a" / "data")
    assert ended.returncode == 0, ended.stderr
    assert [(folder / name).stat().st_uid for name in ("a", "a/data")] == [0, NOBODY.pw_uid]
    assert (folder / "a/data").stat().st_mode & 0o777 == 0o700


def test_the_user_makes_what_it_may(folder: Path) -> None:
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    ended = started(worlds.everybodys_python(), folder / "a" / "data")
    assert ended.returncode == 0, ended.stderr
    assert {path.stat().st_uid for path in folder.rglob("*")} == {NOBODY.pw_uid}


def theirs(folder: Path) -> Path:
    """A folder of nobody's."""
    folder.mkdir()
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    return folder


def a_link(folder: Path) -> Path:
    path = theirs(folder / "home") / "data"
    path.symlink_to(folder / "roots")
    return path


def a_link_of_roots(folder: Path) -> Path:
    path = folder / "data"
    path.symlink_to(folder / "roots")
    return path


def a_link_on_the_way(folder: Path) -> Path:
    link = theirs(folder / "home") / "link"
    link.symlink_to(folder)
    return link / "roots"


def a_way_of_somebody_else(folder: Path) -> Path:
    path = theirs(folder / "home") / "roots"
    (folder / "roots").rename(path)
    return path


def a_way_that_all_can_change(folder: Path) -> Path:
    folder.chmod(0o777)
    return folder / "roots"


def a_way_that_a_group_can_change(folder: Path) -> Path:
    os.chown(folder, 0, NOBODY.pw_gid)
    folder.chmod(0o775)
    return folder / "roots"


def one_that_all_can_change(folder: Path) -> Path:
    (folder / "roots").chmod(0o1777)
    return folder / "roots"


def one_of_another_user(folder: Path) -> Path:
    os.chown(folder / "roots", 12345, 12345)
    return folder / "roots"


def one_that_is_not_empty(folder: Path) -> Path:
    (folder / "roots" / "kept").touch()
    return folder / "roots"


def a_file(folder: Path) -> Path:
    (folder / "data").touch()
    return folder / "data"


@pytest.mark.parametrize(
    ("lay", "said"),
    [
        (a_link, "others than root can change {folder}/home:"),
        (a_link_of_roots, "{folder}/data: it is a file or a link"),
        (a_link_on_the_way, "others than root can change {folder}/home:"),
        (a_way_of_somebody_else, "others than root can change {folder}/home:"),
        (a_way_that_all_can_change, "others than root can change {folder}:"),
        (a_way_that_a_group_can_change, "others than root can change {folder}:"),
        (one_that_all_can_change, "others than root can change {folder}/roots:"),
        (one_of_another_user, "others than root can change {folder}/roots:"),
        (one_that_is_not_empty, "chown -R {name} {folder}/roots"),
        (a_file, "File exists: '{folder}/data'"),
    ],
)
def test_no_other_folder_changes_hands(
    lay: Callable[[Path], Path], said: str, folder: Path
) -> None:
    roots = folder / "roots"
    roots.mkdir()
    data_dir = lay(folder)
    before = {path: path.lstat() for path in folder.rglob("*")}
    ended = started(worlds.everybodys_python(), data_dir)
    assert ended.returncode != 0
    assert said.format(folder=folder, name=NOBODY.pw_name) in ended.stderr
    after = {path: path.lstat() for path in folder.rglob("*")}
    assert {path: (one.st_uid, one.st_mode) for path, one in after.items()} == {
        path: (one.st_uid, one.st_mode) for path, one in before.items()
    }


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
