from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from octelium.cluster import tunnel
from octelium.cluster.settings import Address
from octelium.cluster.tunnel import Ground, TunnelError, prepare
from octelium.tunnel.link.doors import ROLES
from octelium.tunnel.link.namespace import NamespaceError, PrivateNamespace
from tests.cluster.test_supervisor import settings
from tests.peers.ports import reserved_port


def wanted(tmp_path: Path) -> Any:
    return settings(tmp_path, wireguard_listen=Address("127.0.0.1", reserved_port()))


def fake_namespace(monkeypatch: pytest.MonkeyPatch, *, user: bool = False) -> None:
    def make(*, with_user: bool = False) -> PrivateNamespace:
        del with_user
        net = os.open("/proc/self/ns/net", os.O_RDONLY)
        return PrivateNamespace(net, os.open("/proc/self/ns/user", os.O_RDONLY) if user else None)

    monkeypatch.setattr(tunnel, "make", make)
    monkeypatch.setattr(tunnel, "NODE", os.devnull)


def opened() -> set[tuple[str, str]]:
    """The descriptors of this process, each with what it is of."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the folder itself
            found.add((entry.name, str(entry.readlink())))
    return found


@pytest.mark.parametrize("user", [False, True])
def test_what_is_kept_is_handed_to_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: bool
) -> None:
    fake_namespace(monkeypatch, user=user)
    made = wanted(tmp_path)
    before = opened()
    ground: Ground = prepare(made)
    (udp,) = ground.for_gateway()["udp"]
    bound = socket.socket(fileno=os.dup(udp))
    assert bound.getsockname() == ("127.0.0.1", made.wireguard_listen.port)
    bound.close()
    assert len(ground.for_link()["namespace"]) == 1 + user
    # What the link process has of a door, and what the role has, are two ends.
    inner = {role: ground.for_link()[role] for role in ROLES}
    outer = {role: ground.door(role)["link"] for role in ROLES}
    assert ground.for_gateway()["link"] == outer["gateway"]
    assert len({each for ends in (*inner.values(), *outer.values()) for each in ends}) == 6
    said = ground.describe(made)
    assert str(made.wireguard_listen) in said
    assert "own" in said
    assert ("unprivileged" in said) == user
    ground.close()
    assert opened() <= before


def test_a_taken_port_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_namespace(monkeypatch)
    made = wanted(tmp_path)
    before = opened()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", made.wireguard_listen.port))
        with pytest.raises(TunnelError, match=r"--wireguard-listen .*another process"):
            prepare(made)
    assert opened() <= before


def test_a_machine_without_tun_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "NODE", str(tmp_path / "none"))
    with pytest.raises(TunnelError, match="TUN driver"):
        prepare(wanted(tmp_path))


def test_a_user_who_may_not_have_a_device_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    fake_namespace(monkeypatch)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(TunnelError, match="start as root"):
        prepare(wanted(tmp_path))


def test_a_machine_without_namespaces_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_namespace(monkeypatch)

    def refuse(**_: bool) -> PrivateNamespace:
        raise NamespaceError("start as root")

    monkeypatch.setattr(tunnel, "make", refuse)
    made = wanted(tmp_path)
    before = opened()
    with pytest.raises(TunnelError, match="start as root"):
        prepare(made)
    assert opened() <= before


def test_both_families_are_bound_where_there_are_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_namespace(monkeypatch)
    made = settings(tmp_path, wireguard_listen=Address("", reserved_port()))
    ground = prepare(made)
    families = [bound.family for bound in ground.udp]
    ground.close()
    expected = [socket.AF_INET, socket.AF_INET6] if _has_ipv6() else [socket.AF_INET]
    assert families == expected


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return False
    return True


def test_an_engine_with_sockets_of_its_own_has_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It enters the private network, which without capabilities takes a user namespace."""
    asked: list[bool] = []

    def make(*, with_user: bool = False) -> PrivateNamespace:
        asked.append(with_user)
        return PrivateNamespace(
            os.open("/proc/self/ns/net", os.O_RDONLY), os.open("/proc/self/ns/user", os.O_RDONLY)
        )

    monkeypatch.setattr(tunnel, "make", make)
    monkeypatch.setattr(tunnel, "NODE", os.devnull)
    program = tmp_path / "wireguard-go"
    program.write_text("#!/bin/sh\necho wireguard-go v0.0.20990101\n")
    program.chmod(0o755)
    monkeypatch.setenv("OCTELIUM_WIREGUARD_GO", str(program))
    made = settings(tmp_path, engine="wireguard-go", wireguard_listen=Address("", reserved_port()))
    ground = prepare(made)
    assert (ground.engine, asked) == ("wireguard-go", [True])
    assert ground.for_gateway()["udp"] == []
    assert ground.for_gateway()["namespace"] == ground.namespace.descriptors
    ground.close()


@pytest.mark.parametrize(
    ("engine", "host", "problem"),
    [("wireguard-go", "127.0.0.1", "--wireguard-listen :"), ("wireguard-go", "", "is no program")],
)
def test_an_engine_that_cannot_be_had_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    host: str,
    problem: str,
) -> None:
    fake_namespace(monkeypatch)
    program = tmp_path / "wireguard-go"
    if host:
        program.write_text("#!/bin/sh\necho wireguard-go v0.0.20990101\n")
        program.chmod(0o755)
    monkeypatch.setenv("OCTELIUM_WIREGUARD_GO", str(program))
    made = settings(tmp_path, engine=engine, wireguard_listen=Address(host, reserved_port()))
    with pytest.raises(TunnelError, match=problem):
        prepare(made)


def test_by_itself_the_engine_is_one_that_can_be_where_it_shall_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_namespace(monkeypatch)
    program = tmp_path / "wireguard-go"
    program.write_text("#!/bin/sh\necho wireguard-go v0.0.20990101\n")
    program.chmod(0o755)
    monkeypatch.setenv("OCTELIUM_WIREGUARD_GO", str(program))
    ground = prepare(wanted(tmp_path))
    assert ground.engine == "own"
    ground.close()
