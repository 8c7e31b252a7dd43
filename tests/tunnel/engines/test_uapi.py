from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.engines import uapi
from octelium.tunnel.engines.interface import EngineError, PeerConfig, PeerStats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers come from a thread, which a busy machine may let wait."""
    monkeypatch.setattr(uapi, "SECONDS", 300)


@contextmanager
def answering(folder: Path, answer: bytes, *, close: bool = True) -> Iterator[list[bytes]]:
    """A program that answers once; what it was asked is in the list."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "x.sock"))
        listening.listen()
        done = threading.Event()

        def serve() -> None:
            channel, _ = listening.accept()
            with channel, suppress(BrokenPipeError):  # who asked may have given up
                asked.append(channel.recv(1 << 16))
                channel.sendall(answer)
                if not close:
                    done.wait(300)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            done.set()
            thread.join()


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    with answering(tmp_path, b"private_key=00\nlisten_port=5\nerrno=0\n\n") as asked:
        lines = uapi.ask(tmp_path / "x.sock", "get=1\n")
    assert asked == [b"get=1\n\n"]
    assert lines == [("private_key", "00"), ("listen_port", "5")]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"errno=22\n\n", "refuses"),
        (b"errno=-98\n\n", "refuses: Address already in use"),
        (b"errno=many\n\n", "refuses: many"),
        (b"errno=\n\n", "refuses"),
        (b"key=1\n\n", "refuses: None"),
        (b"nonsense\n\n", "talks nonsense"),
        (b"\xff\xfe\n\n", "talks nonsense"),
        (b"errno=0\n", "ends early"),
        (b"", "ends early"),
    ],
)
def test_answers_that_are_none(tmp_path: Path, answer: bytes, text: str) -> None:
    with answering(tmp_path, answer), pytest.raises(EngineError, match=text):
        uapi.ask(tmp_path / "x.sock", "get=1\n")


def test_who_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="does not answer"):
        uapi.ask(tmp_path / "x.sock", "get=1\n")
    monkeypatch.setattr(uapi, "SECONDS", 0.05)
    with (
        answering(tmp_path, b"errno", close=False),
        pytest.raises(EngineError, match="timed out"),
    ):
        uapi.ask(tmp_path / "x.sock", "get=1\n")


def test_an_answer_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uapi, "LONGEST", 1000)
    with answering(tmp_path, b"a=1\n" * 300), pytest.raises(EngineError, match="no end"):
        uapi.ask(tmp_path / "x.sock", "get=1\n")


def test_settings_of_peers() -> None:
    peer = PeerConfig(KEY, ("10.0.0.1/32", "fd00::1/128"), ("2001:db8::1", 5), 25, bytes([1] * 32))
    assert uapi.peer_lines(peer) == [
        f"public_key={KEY.hex()}",
        f"preshared_key={'01' * 32}",
        "endpoint=[2001:db8::1]:5",
        "persistent_keepalive_interval=25",
        "replace_allowed_ips=true",
        "allowed_ip=10.0.0.1/32",
        "allowed_ip=fd00::1/128",
    ]
    bare = uapi.peer_lines(PeerConfig(KEY, endpoint=("192.0.2.1", 6)))
    assert bare[1:] == [
        f"preshared_key={'00' * 32}",
        "endpoint=192.0.2.1:6",
        "persistent_keepalive_interval=0",
        "replace_allowed_ips=true",
    ]
    assert "endpoint" not in "".join(uapi.peer_lines(PeerConfig(KEY)))
    assert uapi.removal_lines([KEY]) == [f"public_key={KEY.hex()}", "remove=true"]


def test_what_is_told_of_peers() -> None:
    answer = f"""private_key=00
listen_port=1
public_key={KEY.hex()}
preshared_key={"00" * 32}
protocol_version=1
endpoint=[fe80::1%eth0]:7
last_handshake_time_sec=5
last_handshake_time_nsec=500000000
tx_bytes=8
rx_bytes=9
persistent_keepalive_interval=0
allowed_ip=10.0.0.1/32
public_key={"11" * 32}
"""
    assert uapi.peer_stats(uapi.parse(answer.encode())) == {
        KEY: PeerStats(("fe80::1%eth0", 7), 5.5, received=9, sent=8),
        bytes([0x11] * 32): PeerStats(None, 0.0, 0, 0),
    }


@pytest.mark.parametrize("line", ["tx_bytes=x", "endpoint=here", "public_key=0"])
def test_values_that_are_none(line: str) -> None:
    with pytest.raises(EngineError, match="nonsense"):
        uapi.peer_stats(uapi.parse(f"public_key={KEY.hex()}\n{line}\n".encode()))


@given(
    st.one_of(
        st.binary(),
        st.lists(
            st.sampled_from(
                (
                    "public_key=" + "00" * 32,
                    "endpoint=",
                    "endpoint=[::1]:4",
                    "rx_bytes=-1",
                    "=",
                    "errno=0",
                )
            )
        ).map(lambda lines: "\n".join(lines).encode()),
    )
)
def test_fuzz(answer: bytes) -> None:
    try:
        found = uapi.peer_stats(uapi.parse(answer))
    except EngineError:
        return
    assert all(isinstance(key, bytes) for key in found)
