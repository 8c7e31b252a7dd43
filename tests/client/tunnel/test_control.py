from __future__ import annotations

import asyncio
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.errors import StateError
from octelium.client.tunnel.control import Place, _bound, ask, serving
from octelium.client.tunnel.errors import TunnelError
from tests.client.owners import Owned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def saying(told: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A status that is always the same."""

    async def status() -> dict[str, Any]:
        return told

    return status


@pytest.fixture(params=["home", "long" * 40])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Also where a path is longer than a socket's may be."""
    return Place(tmp_path / request.param, "lab.test")


async def _ask(place: Place, what: str) -> dict[str, Any] | None:
    return await asyncio.to_thread(ask, place, what)


async def test_status_and_end(place: Place) -> None:
    ended = asyncio.Event()
    with place.hold():
        async with serving(place, saying({"state": "connected"}), ended.set):
            assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600
            assert await _ask(place, "status") == {"state": "connected"}
            assert not ended.is_set()
            assert await _ask(place, "end") == {"state": "connected"}
            assert ended.is_set()
    assert await _ask(place, "status") is None


def test_nobody_is_there(place: Place) -> None:
    assert ask(place, "status") is None
    place.directory.mkdir()
    assert ask(place, "status") is None


async def test_one_at_a_time(place: Place) -> None:
    with place.hold():
        async with serving(place, saying({"pid": 4711}), lambda: None):

            def second() -> None:
                with place.hold():
                    raise AssertionError("there are two")

            with pytest.raises(TunnelError, match=r"\(process 4711\)") as caught:
                await asyncio.to_thread(second)
            assert "octelium disconnect" in caught.value.remedy
        with Place(place.directory, "other.test").hold():
            pass
    with place.hold():
        pass


async def test_one_that_was_killed_leaves_nothing_in_the_way(place: Place) -> None:
    code = (
        "import asyncio, os, pathlib, sys\n"
        "from octelium.client.tunnel.control import Place, serving\n"
        "place = Place(pathlib.Path(sys.argv[1]), 'lab.test')\n"
        "async def main():\n"
        "    with place.hold():\n"
        "        async with serving(place, None, print):\n"
        "            os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(place.directory)], check=False, timeout=300)
    assert place.socket.exists()
    assert await _ask(place, "status") is None
    with place.hold():
        async with serving(place, saying({"pid": 1}), lambda: None):
            assert await _ask(place, "status") == {"pid": 1}


@pytest.mark.parametrize("nonsense", [b"", b"\n", b"[]\n", b"{\n", b'{"do":7}\n', b"x" * 9000])
async def test_nonsense_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nonsense: bytes
) -> None:
    monkeypatch.chdir(tmp_path)  # whose path may be longer than a socket's
    place, ended = Place(tmp_path, "lab.test"), asyncio.Event()
    with place.hold():
        async with serving(place, saying({"pid": 1}), ended.set):
            _, writer = await asyncio.open_unix_connection(place.socket.name)
            writer.write(nonsense)
            writer.close()
            assert await _ask(place, "status") == {"pid": 1}
    assert not ended.is_set()


def test_an_answer_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # whose path may be longer than a socket's
    place = Place(tmp_path, "lab.test")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place.socket.name)
        listening.listen()
        process = subprocess.Popen(
            [sys.executable, "-c", _BABBLE, str(listening.fileno())], pass_fds=[listening.fileno()]
        )
        try:
            assert ask(place, "status") == {}
        finally:
            process.wait(60)


_BABBLE = """
import socket, sys
one, _ = socket.socket(fileno=int(sys.argv[1])).accept()
one.recv(100)
one.sendall(b"hello\\n")
"""


def test_a_lock_that_is_a_link_is_no_other_connection(place: Place, tmp_path: Path) -> None:
    place.directory.mkdir()
    lock = place.socket.with_suffix(".lock")
    lock.symlink_to(tmp_path / "victim")
    with pytest.raises(StateError, match="is a link"), place.hold():
        pytest.fail("it is a link")
    assert not (tmp_path / "victim").exists()


def test_root_connects_from_no_directory_of_somebody_else(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.directory.mkdir()
    Owned(monkeypatch).by(place.directory, 1234)
    with pytest.raises(StateError, match="belongs to"), place.hold():
        pytest.fail("it is somebody else's")
    assert list(place.directory.iterdir()) == []


async def test_what_one_that_was_killed_left_is_forgotten(place: Place) -> None:
    def was_killed() -> bool:
        return place.was_killed

    assert not was_killed()
    place.forget()
    with place.hold():
        pass
    _bound(place).close()
    assert was_killed()
    with place.hold():
        place.forget()  # another one begins: what is there may be its own
    assert was_killed()
    place.forget()
    assert not was_killed()
