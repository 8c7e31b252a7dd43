"""The network namespaces that other tests stand on: apart, joined as asked, gone afterwards."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import ROOT, wait_for
from tests.peers.namespaces import NotVerifiedError, available, network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace, Network

GREETING = """
import socket, sys
with socket.create_server((sys.argv[1], 443), family=int(sys.argv[2])) as listener:
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(sys.argv[3].encode())
"""
CALL = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 60) as connection:
    print(connection.recv(100).decode())
"""
OWNER = """
import sys, time
from pathlib import Path
from tests.peers.namespaces import network
with network(Path(sys.argv[1])) as made:
    one, other = made.namespace("one"), made.namespace("other")
    made.cable(one, "10.9.0.1/24", other, "10.9.0.2/24")
    with one.process("sleep", "600") as sleeper:
        while Path(f"/proc/{sleeper.pid}/comm").read_text().strip() != "sleep":  # on its way
            time.sleep(0.01)
        print(one.keeper.pid, other.keeper.pid, sleeper.pid, flush=True)
        sys.stdin.read()
"""


def says(namespace: Namespace, host: str, port: int = 443) -> str:
    return namespace.run(sys.executable, "-I", "-c", CALL, host, str(port)).stdout.strip()


@contextlib.contextmanager
def greeter(namespace: Namespace, address: str, text: str) -> Iterator[None]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    words = [sys.executable, "-I", "-c", GREETING, address, str(int(family)), text]
    with namespace.process(*words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield


@pytest.fixture(name="made", params=available())
def made_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Network]:
    with network(tmp_path, [request.param]) as made:
        yield made


def test_what_listens_in_one_is_only_there(made: Network) -> None:
    one, other = made.namespace("one"), made.namespace("other")
    one.resolve({"gateway.lab.test": "127.0.0.1"})
    with socket.create_server(("127.0.0.1", 0)) as outside, greeter(one, "127.0.0.1", "one"):
        with greeter(other, "127.0.0.1", "other"):  # on the same port
            assert (says(one, "localhost"), says(other, "localhost")) == ("one", "other")
            assert says(one, "gateway.lab.test") == "one"
            for name, why in (("gateway.lab.test", "gaierror"), ("10.9.9.9", "unreachable")):
                with pytest.raises(subprocess.CalledProcessError) as refused:
                    says(other, name)
                assert why in refused.value.stderr
        with pytest.raises(subprocess.CalledProcessError) as refused:
            says(one, "127.0.0.1", outside.getsockname()[1])
        assert "ConnectionRefused" in refused.value.stderr
    with pytest.raises(OSError, match=r"not known|resolution"):
        socket.getaddrinfo("gateway.lab.test", 443)


def test_cables_and_switches_join_them(made: Network) -> None:
    one, two, three = (made.namespace(name) for name in ("one", "two", "three"))
    made.cable(one, "10.9.0.1/24", two, "10.9.0.2/24")
    made.switch("lan", {"one": "fd00::1/64", "two": "fd00::2/64", "three": "fd00::3/64"})
    with greeter(two, "10.9.0.2", "two"), greeter(three, "fd00::3", "three"):
        assert says(one, "10.9.0.2") == "two"
        assert (says(one, "fd00::3"), says(two, "fd00::3")) == ("three", "three")
        two.resolve({"upstream.lab.test": "fd00::3"})
        assert says(two, "upstream.lab.test") == "three"
        with pytest.raises(subprocess.CalledProcessError) as refused:
            says(three, "10.9.0.2")  # it is not on that cable
        assert "unreachable" in refused.value.stderr


def test_a_server_of_the_tests_listens_there(made: Network) -> None:
    one, other = made.namespace("one"), made.namespace("other")
    one.ip("address add 192.0.2.1/32 dev lo")
    for host in ("192.0.2.1", "::1"):
        with one.listen(host, 80) as listener:
            assert listener.getsockname()[:2] == (host, 80)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                heard = pool.submit(says, one, host, 80)
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"hello")
                assert heard.result(60) == "hello"
            with pytest.raises(subprocess.CalledProcessError):
                says(other, host, 80)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        other.listen("192.0.2.1", 80)
    assert "Cannot assign" in failed.value.stderr


def test_a_process_is_what_it_was_started_as(made: Network, tmp_path: Path) -> None:
    one = made.namespace("one")
    with one.process("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("here\n")
        process.stdin.flush()
        assert process.stdout.readline() == "here\n"
        assert Path(f"/proc/{process.pid}/cmdline").read_bytes() == b"cat\0"
        assert Path(f"/proc/{process.pid}/cwd").resolve() == Path.cwd()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    file = tmp_path / "file"
    one.run("sh", "-c", f"id -u >{file}")
    assert file.read_text() == "0\n"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        one.run("cat", "/none")
    assert any("/none" in note for note in failed.value.__notes__)


def test_names_that_no_interface_can_have(made: Network) -> None:
    made.namespace("one")
    for name in ("one", "", "a" * 13, "a/b", "A"):
        with pytest.raises(ValueError, match="is taken"):
            made.namespace(name)


def test_nothing_stays_behind_when_the_tests_are_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert owner.stdout is not None
    numbers = owner.stdout.readline().split()
    assert len(numbers) == 3
    assert interfaces() == []
    owner.kill()
    owner.communicate()
    wait_for(lambda: not any(Path(f"/proc/{number}").exists() for number in numbers))
    assert interfaces() == []


def test_a_machine_that_has_none_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unshare").write_text("#!/bin/sh\necho unshare: not permitted >&2\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(NotVerifiedError, match=r"not verified.*not permitted"), network(tmp_path):
        pytest.fail("there is a network")


def interfaces() -> list[str]:
    """Those of the machine that are named like a test's own; others come and go."""
    return sorted(name for _, name in socket.if_nameindex() if name.startswith("to-"))
