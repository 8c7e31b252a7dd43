from __future__ import annotations

import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from octelium.client.dns.service import HostNames
from octelium.client.dns.upstreams import dial_here
from tests.client.dns.servers import look_up
from tests.client.dns.test_resolved import STUB, stand_in
from tests.peers.namespaces import available, network
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.client.dns.resolved import Resolved

MODULE = (sys.executable, "-m", "tests.client.dns.inside")
DOMAINS = ("local.example.com",)


def names(tmp_path: Path, resolved: Resolved, **options: object) -> HostNames:
    given = {"path": tmp_path / "resolv.conf", "directory": tmp_path / "state", **options}
    return HostNames(dial_here, resolved=resolved, **given)  # type: ignore[arg-type]  # passed on


@pytest.mark.parametrize(
    "name",
    ["programs_find_names", "no_server_is_named", "two_clusters", "no_rights", "a_foreign_edit"],
)
def test_in_a_network_of_its_own(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    with network(tmp_path, available()) as made:
        made.namespace("client").run(*MODULE, name, str(state))


def test_a_killed_client_leaves_the_mounted_file_as_it_was(tmp_path: Path) -> None:
    with network(tmp_path, available()) as made:
        inside = made.namespace("client")
        file = inside.etc / "resolv.conf"
        original, number = file.read_bytes(), file.stat().st_ino
        words = (*MODULE, "until_killed", str(tmp_path / "state"))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with inside.process(*words, **pipes) as process:
            assert process.stdout is not None
            guardian = os.pidfd_open(int(process.stdout.readline()))
            assert b"nameserver 127.0.0.100\n" in file.read_bytes()
            process.kill()
            assert select.select([guardian], [], [], 60)[0]
            os.close(guardian)
        assert (file.read_bytes(), file.stat().st_ino) == (original, number)


async def test_systemd_resolved_goes_first(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(STUB)
    made = names(tmp_path, stand_in(tmp_path))
    told = await made.start("octelium0", ["100.64.0.1"], DOMAINS)
    assert told == "*.local.example.com is looked up by systemd-resolved at the Cluster"
    await made.start("octelium0", ["100.64.0.2"], DOMAINS)
    await made.stop()
    await made.stop()
    said = (tmp_path / "log").read_text().splitlines()
    assert [line for line in said if line.startswith(("dns", "revert"))] == [
        "dns octelium0 100.64.0.1", "dns octelium0 100.64.0.2", "revert octelium0",
    ]  # fmt: skip
    assert (tmp_path / "resolv.conf").read_text() == STUB


async def test_an_end_that_systemd_resolved_does_not_take_is_told(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(STUB)
    warned: list[str] = []
    made = names(tmp_path, stand_in(tmp_path, fails="revert"), warn=warned.append)
    await made.start("octelium0", ["100.64.0.1"], DOMAINS)
    await made.stop()
    assert warned == [
        f"systemd-resolved was not told of the end: {tmp_path}/resolvectl revert: Link 7 is no link"
    ]


@pytest.mark.parametrize("device", ["octelium0", ""])
async def test_a_forwarder_at_another_port_changes_nothing(tmp_path: Path, device: str) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    made = names(
        tmp_path, stand_in(tmp_path), listen=("127.0.0.1", reserved_port()), is_up=lambda: False
    )
    told = await made.start(device, ["100.64.0.1"], DOMAINS)
    assert "a name server for *.local.example.com is at 127.0.0.1 port " in told
    assert "is left as it is" in told
    place = ("127.0.0.1", int(told.split(" port ")[1].split(";")[0]))
    assert (await look_up(place, "web.local.example.com")).rcode() == 2
    await made.stop()
    assert (tmp_path / "resolv.conf").read_text() == "nameserver 192.0.2.1\n"
    assert not (tmp_path / "log").exists()
