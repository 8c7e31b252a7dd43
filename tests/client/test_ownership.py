from __future__ import annotations

import os
from pathlib import Path

import pytest

from octelium.client import ownership
from octelium.client.errors import StateError
from tests.client.owners import Owned

MINE, SOMEBODY = 0, 1234


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> Owned:
    return Owned(monkeypatch)


def test_what_is_roots_alone_is_used(tmp_path: Path, owned: Owned) -> None:
    home = tmp_path / "root" / "home"
    ownership.make(home)
    assert home.stat().st_mode & 0o777 == 0o700
    ownership.make(home)
    (tmp_path / "link").symlink_to(home)
    ownership.check(tmp_path / "link")
    assert owned.asked


@pytest.mark.parametrize("whose", ["", "home", "home/cfg"])
def test_what_somebody_else_owns_is_not(tmp_path: Path, owned: Owned, whose: str) -> None:
    (tmp_path / "home/cfg").mkdir(parents=True)
    owned.by(tmp_path / whose, SOMEBODY)
    directory = tmp_path / "home/cfg"
    with pytest.raises(StateError, match=f"{tmp_path / whose}.* belongs to ") as caught:
        ownership.check(directory)
    assert "sudo -H" in caught.value.remedy
    assert "--homedir ~root/.octelium" in caught.value.remedy
    with pytest.raises(StateError, match="belongs to"):
        ownership.make(directory / "deeper")
    assert not (directory / "deeper").exists()


@pytest.mark.parametrize(("mode", "group"), [(0o702, 0), (0o720, 1234)])
def test_nor_what_others_may_write(tmp_path: Path, owned: Owned, mode: int, group: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for place in (home, tmp_path):
        place.chmod(mode)
        owned.group(place, group)
        with pytest.raises(StateError, match=f"others than root may write to {place}"):
            ownership.check(home)
        place.chmod(0o700)
        ownership.check(home)
    home.chmod(0o720)
    owned.group(home, 0)
    ownership.check(home)


def test_a_sticky_folder_above_does_no_harm(tmp_path: Path, owned: Owned) -> None:
    """Such as /tmp; but what is directly there is everybody's to make."""
    tmp_path.chmod(0o1777)
    home = tmp_path / "home"
    ownership.make(home)
    with pytest.raises(StateError, match="others than root may write"):
        ownership.check(tmp_path)
    owned.by(home, SOMEBODY)
    with pytest.raises(StateError, match="belongs to"):
        ownership.check(home)


def test_somebody_who_is_faster(
    tmp_path: Path, owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    home = tmp_path / "home"

    def mkdir(self: Path, **_: object) -> None:
        os.mkdir(self, 0o700)  # noqa: PTH102  (the method stands replaced)
        owned.by(self, SOMEBODY)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(StateError, match="belongs to"):
        ownership.make(home)


@pytest.mark.parametrize("form", ["{}/theirs/way/cfg", "{}/theirs/../theirs/way/cfg", "../way/cfg"])
def test_links_on_the_way(tmp_path: Path, owned: Owned, form: str) -> None:
    """A link of root's that leads by way of somebody else's folder, and back."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "root/cfg").mkdir(parents=True)
    (tmp_path / "theirs/way").symlink_to(tmp_path / "root")
    (tmp_path / "way").symlink_to("theirs/way")
    link = tmp_path / "root/link"
    link.symlink_to(form.format(tmp_path))
    assert link.resolve() == (tmp_path / "root/cfg").resolve()
    ownership.check(link)
    owned.by(tmp_path / "theirs/way", SOMEBODY)
    with pytest.raises(StateError, match=f"way, by which {link} is reached, belongs"):
        ownership.check(link)
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(StateError, match="too many links"):
        ownership.check(link)


def test_whoever_is_not_root_is_not_stopped(
    tmp_path: Path, owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned.by(tmp_path, SOMEBODY)
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    ownership.make(tmp_path / "home")


def test_root_of_a_user_namespace(tmp_path: Path, owned: Owned) -> None:
    """To it, all that is not its own belongs to nobody, `/` included."""
    nobody = 65_534
    for place in (Path("/"), *tmp_path.parents):
        owned.by(place, nobody)
    ownership.make(tmp_path / "home")
    owned.by(tmp_path, SOMEBODY)
    with pytest.raises(StateError, match=f"belongs to user {SOMEBODY}|belongs to "):
        ownership.check(tmp_path / "home")
