from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.client.dns.guardian import Guardian
from octelium.client.dns.owners import Owners, new_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGINAL = "nameserver 192.0.2.1\n"
CLIENT = """
import sys
from pathlib import Path
from octelium.client.dns.guardian import Guardian
from octelium.client.dns.owners import Owners, new_owner
owners = Owners(Path(sys.argv[1]), Path(sys.argv[2]))
owner = new_owner(sys.argv[3], ["local.example.com"], ["local"])
guardian = Guardian(owners, owner.id)
owners.add(owner)
print(guardian.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def client(owners: Owners, address: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    words = (sys.executable, "-c", CLIENT, str(owners.path), str(owners.directory), address)
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        yield process, os.pidfd_open(int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


def wait_for(guardian: int) -> None:
    try:
        assert select.select([guardian], [], [], 60)[0]
    finally:
        os.close(guardian)


@pytest.fixture
def owners(tmp_path: Path) -> Owners:
    file = tmp_path / "resolv.conf"
    file.write_text(ORIGINAL)
    return Owners(file, tmp_path / "state")


def test_killed_clients_are_cleared_away(owners: Owners) -> None:
    with client(owners, "127.0.0.100") as (one, first), client(owners, "127.0.0.101") as second:
        assert "nameserver 127.0.0.101\n" in owners.path.read_text()
        # The whole group, as a terminal that goes away would; the guardian is in another.
        os.killpg(second[0].pid, signal.SIGKILL)
        wait_for(second[1])
        assert "nameserver 127.0.0.100\n" in owners.path.read_text()
        os.kill(one.pid, signal.SIGKILL)
        wait_for(first)
    assert owners.path.read_text() == ORIGINAL


def test_a_foreign_edit_survives_a_kill(owners: Owners) -> None:
    with client(owners, "127.0.0.100") as (one, guardian):
        owners.path.write_text("nameserver 198.51.100.1\n")
        os.kill(one.pid, signal.SIGKILL)
        wait_for(guardian)
    assert owners.path.read_text() == "nameserver 198.51.100.1\n"
    assert not owners.file.exists()


def test_it_outlives_polite_signals(owners: Owners) -> None:
    with client(owners, "127.0.0.100") as (one, guardian):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.pidfd_send_signal(guardian, number)
        assert not select.select([guardian], [], [], 0.2)[0]
        os.kill(one.pid, signal.SIGKILL)
        wait_for(guardian)
    assert owners.path.read_text() == ORIGINAL


def test_when_both_are_killed_the_next_start_repairs(owners: Owners) -> None:
    with client(owners, "127.0.0.100") as (one, guardian):
        signal.pidfd_send_signal(guardian, signal.SIGKILL)
        wait_for(guardian)
        os.kill(one.pid, signal.SIGKILL)
        one.wait()
        assert owners.path.read_text() != ORIGINAL
        assert owners.repair()
    assert owners.path.read_text() == ORIGINAL


def test_it_knows_no_credentials(owners: Owners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTELIUM_AUTH_TOKEN", "secret-of-the-test")
    guardian = Guardian(owners, "nobody")
    environment = Path(f"/proc/{guardian.pid}/environ").read_bytes()
    guardian.dismiss()
    assert b"PYTHONPATH=" in environment
    assert b"secret-of-the-test" not in environment


def test_it_ends_with_a_client_that_restores_by_itself(owners: Owners) -> None:
    owner = new_owner("127.0.0.100", [], ["local"])
    guardian = Guardian(owners, owner.id)
    owners.add(owner)
    owners.remove(owner.id)
    guardian.dismiss()
    guardian.dismiss()
    assert owners.path.read_text() == ORIGINAL
    with pytest.raises(ProcessLookupError):
        os.kill(guardian.pid, 0)
