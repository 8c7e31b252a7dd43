from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.dns import resolv_conf
from octelium.client.dns.owners import DIRECTORY, Owner, Owners, new_owner, repair
from octelium.cluster.settings import default_data_dir
from tests.client.owners import Owned

if TYPE_CHECKING:
    from pathlib import Path

ORIGINAL = "# by hand\nnameserver 192.0.2.1\nsearch a.example\noptions edns0\n"
ONE = new_owner("127.0.0.100", ["local.one.com"], ["local.one.com", "local"])
TWO = new_owner("127.0.0.101", ["local.two.com"], ["local.two.com", "local"])
DEAD = replace(ONE, id="dead", started="another boot:1")


class PowerLoss(BaseException):
    pass


@pytest.fixture
def files(tmp_path: Path) -> Owners:
    file = tmp_path / "resolv.conf"
    file.write_text(ORIGINAL)
    return Owners(file, tmp_path / "state")


def says(files: Owners) -> resolv_conf.ResolvConf:
    return resolv_conf.parse(files.path.read_text())


def left(files: Owners) -> list[str]:
    return [each.name for each in files.directory.glob("*.json")]


def test_what_is_written_down_is_roots_alone(
    files: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.directory.mkdir()
    Owned(monkeypatch).by(files.directory, 1234)
    with pytest.raises(OSError, match="state belongs to"):
        files.add(ONE)
    assert files.path.read_text() == ORIGINAL
    assert list(files.directory.iterdir()) == []


def test_it_is_not_within_what_a_clusters_user_owns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    data = default_data_dir()
    assert data.parent == DIRECTORY.parent
    assert not DIRECTORY.is_relative_to(data)


def test_one_client_comes_and_goes(files: Owners) -> None:
    assert files.former().nameservers == ("192.0.2.1",)
    assert files.path.read_text() == ORIGINAL
    assert not files.directory.exists()
    assert files.add(ONE).nameservers == ("192.0.2.1",)
    assert says(files).nameservers == ("127.0.0.100",)
    assert says(files).search == ("local.one.com", "a.example")
    assert says(files).options == ("options edns0",)
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700
    assert files.remove(ONE.id) == ""
    assert files.path.read_text() == ORIGINAL
    assert left(files) == []
    assert files.remove(ONE.id) == ""


def test_a_repair_of_whoever_may(files: Owners) -> None:
    warned: list[str] = []
    where = (files.path, files.directory)
    repair(warned.append, *where)  # nobody was ever here
    assert not files.directory.exists()
    files.add(DEAD)
    repair(warned.append, *where)
    assert (files.path.read_text(), warned) == (ORIGINAL, [])
    files.add(DEAD)
    files.file.write_text("{")
    repair(warned.append, *where)
    assert len(warned) == 1
    assert warned[0].startswith(f"{files.path} still names a client that has ended: ")
    assert "damaged" in warned[0]
    warned.clear()
    files.path.unlink()
    files.path.symlink_to("/run/systemd/resolve/stub-resolv.conf")
    repair(warned.append, *where)
    assert warned == []


@pytest.mark.parametrize("order", [(ONE, TWO), (TWO, ONE)])
def test_the_last_one_restores(files: Owners, order: tuple[Owner, Owner]) -> None:
    files.add(ONE)
    second = Owners(files.path, files.directory)
    assert second.add(TWO).nameservers == ("192.0.2.1",)
    assert says(files).nameservers == ("127.0.0.101",)
    assert says(files).search == ("local.two.com", "local.one.com", "a.example")
    assert second.others(TWO.id) == (ONE,)
    assert files.others(ONE.id) == (TWO,)
    assert files.remove(order[0].id) == ""
    assert says(files).nameservers == (order[1].address,)
    assert says(files).search == (*order[1].search, "a.example")
    assert second.others(order[1].id) == ()
    assert files.remove(order[1].id) == ""
    assert files.path.read_text() == ORIGINAL


def test_a_foreign_edit_stays(files: Owners) -> None:
    files.add(ONE)
    foreign = "nameserver 198.51.100.1\n"
    files.path.write_text(foreign)
    assert "another program" in files.remove(ONE.id)
    assert files.path.read_text() == foreign
    assert left(files) == []


def test_a_foreign_edit_is_the_original_of_the_next_client(files: Owners) -> None:
    files.add(ONE)
    files.path.write_text("nameserver 198.51.100.1\n")
    assert files.add(TWO).nameservers == ("198.51.100.1",)
    assert says(files).nameservers == ("127.0.0.101",)
    files.remove(TWO.id)
    assert says(files).nameservers == ("127.0.0.100",)
    files.remove(ONE.id)
    assert files.path.read_text() == "nameserver 198.51.100.1\n"


def test_a_line_added_to_ours_does_not_make_us_the_original(files: Owners) -> None:
    files.add(ONE)
    with files.path.open("a") as file:
        file.write("options rotate\n")
    former = files.add(TWO)
    assert former.nameservers == ("192.0.2.1",)
    assert former.search == ("a.example",)
    assert former.options == ("options edns0", "options rotate")


def test_a_file_that_was_not_there_is_not_there_again(tmp_path: Path) -> None:
    files = Owners(tmp_path / "resolv.conf", tmp_path / "state")
    files.add(ONE)
    assert says(files).nameservers == ("127.0.0.100",)
    files.remove(ONE.id)
    assert not files.path.exists()


def test_the_next_start_repairs_what_a_power_loss_left(files: Owners) -> None:
    assert not files.repair()
    files.add(DEAD)
    assert says(files).nameservers == ("127.0.0.100",)
    again = Owners(files.path, files.directory)
    assert again.former().nameservers == ("192.0.2.1",)
    assert again.repair()
    assert files.path.read_text() == ORIGINAL
    assert left(files) == []
    assert not again.repair()


def test_what_the_dead_left_is_not_taken_for_the_original(files: Owners) -> None:
    files.add(DEAD)
    assert files.add(TWO).nameservers == ("192.0.2.1",)
    assert says(files).search == ("local.two.com", "a.example")
    assert not files.repair()
    files.remove(TWO.id)
    assert files.path.read_text() == ORIGINAL


def test_the_living_stay_when_the_dead_are_cleared(files: Owners) -> None:
    files.add(ONE)
    files.add(DEAD)
    assert files.repair()
    assert says(files).nameservers == ("127.0.0.100",)
    assert files.others("") == (ONE,)


@given(point=st.integers(0, 3), half=st.none() | st.integers(0, 400), second=st.booleans())
def test_power_goes_at_any_moment(
    tmp_path_factory: pytest.TempPathFactory, point: int, half: int | None, second: bool
) -> None:
    """Before or after any of the writes, or in the midst of one in place."""
    folder = tmp_path_factory.mktemp("power")
    files = Owners(folder / "resolv.conf", folder / "state")
    files.path.write_text(ORIGINAL)
    if second:
        files.add(replace(TWO, started="another boot:1"))
    writes = [0]
    whole = resolv_conf.write

    def write(path: Path, text: str) -> None:
        writes[0] += 1
        if path == files.path and writes[0] >= point:
            if half is not None:
                path.write_text(text[:half])
            raise PowerLoss
        if writes[0] > point:
            raise PowerLoss
        whole(path, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolv_conf, "write", write)
        with contextlib.suppress(PowerLoss):
            files.add(DEAD)
    again = Owners(files.path, files.directory)
    again.repair()
    assert files.path.read_text() == ORIGINAL
    assert left(files) == []


@pytest.mark.parametrize("half", [0, 5, len(ORIGINAL)])
def test_power_goes_while_the_original_is_put_back(
    files: Owners, half: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.add(DEAD)

    def write(path: Path, text: str) -> NoReturn:
        path.write_text(text[:half])
        raise PowerLoss

    with monkeypatch.context() as patch:
        patch.setattr(resolv_conf, "write", write)
        with pytest.raises(PowerLoss):
            files.remove(DEAD.id)
    assert files.repair()
    assert files.path.read_text() == ORIGINAL
    assert left(files) == []


def test_a_file_that_cannot_be_written_stays(
    files: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = resolv_conf.write

    def write(path: Path, text: str) -> None:
        if path == files.path:
            raise PermissionError(13, "Permission denied")
        whole(path, text)

    monkeypatch.setattr(resolv_conf, "write", write)
    with pytest.raises(PermissionError):
        files.add(ONE)
    assert files.path.read_text() == ORIGINAL
    assert left(files) == []


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"owners": [1]}', "nul\0"])
def test_a_damaged_record_changes_nothing(files: Owners, content: str) -> None:
    files.add(ONE)
    files.file.write_text(content)
    before = files.path.read_text()
    calls = (lambda: files.add(TWO), lambda: files.remove(ONE.id), files.repair, files.former)
    for call in calls:
        with pytest.raises(OSError, match=r"is damaged; remove it"):
            call()
    assert files.path.read_text() == before


def test_the_record_says_whose_it_is(files: Owners) -> None:
    files.add(ONE)
    kept = json.loads(files.file.read_text())
    assert kept["path"] == str(files.path)
    assert kept["original"] == ORIGINAL
    assert kept["owners"][0]["pid"] == os.getpid()


def test_no_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(ORIGINAL)
    files = Owners(file, tmp_path / "state")

    def refused(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refused)
    with pytest.raises(PermissionError):
        files.add(ONE)
    assert file.read_text() == ORIGINAL
