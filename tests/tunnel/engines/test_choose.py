from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.engines.choose import SETTINGS, choose, make
from octelium.tunnel.engines.interface import ConfigurationError, EngineError
from octelium.tunnel.engines.own import OwnEngine
from octelium.tunnel.engines.wireguard_go import WireGuardGo
from tests.tunnel.engines.pairs import keys, udp_socket

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = "wireguard-go v0.0.20220316", "wireguard-go v0.0.20230223"


def installed(folder: Path, says: str) -> dict[str, str]:
    """An environment with a program that says its version."""
    program = folder / "wireguard-go"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize(
    ("setting", "says", "name", "offload", "reason"),
    [
        ("auto", None, "own", True, "not on the PATH"),
        ("auto", OLD, "own", True, "older than 2023"),
        ("auto", "something", "own", True, "older"),
        ("auto", NEW, "wireguard-go", True, "is there"),
        ("own", NEW, "own", True, "as set"),
        ("wireguard-go", OLD, "wireguard-go", False, "as set"),
        ("wireguard-go", NEW, "wireguard-go", True, "as set"),
    ],
)
def test_what_is_chosen_and_why(
    tmp_path: Path, setting: str, says: str | None, name: str, offload: bool, reason: str
) -> None:
    environment = {"PATH": str(tmp_path)} if says is None else installed(tmp_path, says)
    choice = choose(setting, environment)
    assert (choice.name, choice.wants_offload) == (name, offload)
    assert reason in choice.reason
    assert choice.wants_sockets is (name == "own")
    private, _ = keys()
    with udp_socket() as bound:
        engine = make(
            choice,
            tun=bound.fileno(),
            device="octelium0",
            private_key=private,
            port=1,
            folder=tmp_path,
            sockets=[bound],
        )
    assert isinstance(engine, OwnEngine if name == "own" else WireGuardGo)
    assert (engine.name, engine.wants_offload, engine.wants_sockets) == (
        choice.name,
        choice.wants_offload,
        choice.wants_sockets,
    )


def test_a_setting_may_name_the_program(tmp_path: Path) -> None:
    installed(tmp_path, NEW)
    named = {"PATH": "/nowhere", "OCTELIUM_WIREGUARD_GO": str(tmp_path / "wireguard-go")}
    assert choose("auto", named).program == tmp_path / "wireguard-go"
    named["OCTELIUM_WIREGUARD_GO"] += "x"
    assert "OCTELIUM_WIREGUARD_GO" in choose("auto", named).reason
    with pytest.raises(EngineError, match="OCTELIUM_WIREGUARD_GO"):
        choose("wireguard-go", named)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("kernel", "not offered"),
        ("wireguard-go", "not on the PATH"),
        ("", "none of auto"),
        ("boringtun", "none of auto"),
    ],
)
def test_what_is_not_to_be_had(tmp_path: Path, setting: str, text: str) -> None:
    with pytest.raises(EngineError, match=text):
        choose(setting, {"PATH": str(tmp_path)})
    assert set(SETTINGS) == {"auto", "kernel", "wireguard-go", "own"}


def test_our_own_needs_sockets(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="socket"):
        make(
            choose("own"),
            tun=0,
            device="octelium0",
            private_key=keys()[0],
            port=1,
            folder=tmp_path,
        )
