from __future__ import annotations

import os
from pathlib import Path

import pytest

from octelium.tunnel.engines import program
from octelium.tunnel.engines.interface import EngineError
from octelium.tunnel.engines.program import Program, find, knows_offload, release


def script(folder: Path, text: str) -> Path:
    made = folder / "wireguard-go"
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return made


def test_it_is_looked_for(tmp_path: Path) -> None:
    assert find({"PATH": str(tmp_path)}) is None
    made = script(tmp_path, "")
    assert find({"PATH": str(tmp_path)}) == made
    assert find({"PATH": "/nowhere", program.SETTING: str(made)}) == made
    made.chmod(0o644)
    assert find({"PATH": str(tmp_path)}) is None
    with pytest.raises(EngineError, match="no program"):
        find({"PATH": "/nowhere", program.SETTING: str(made)})


def test_releases(tmp_path: Path) -> None:
    assert release(script(tmp_path, "echo wireguard-go v0.0.20220316")) == 20220316
    assert not knows_offload(script(tmp_path, "echo wireguard-go v0.0.20220316"))
    assert knows_offload(script(tmp_path, "echo wireguard-go v0.0.20230223"))
    assert release(script(tmp_path, "echo v1")) == 0
    with pytest.raises(EngineError, match="cannot be run"):
        release(tmp_path / "none")


async def test_a_program_that_ends_at_once(tmp_path: Path) -> None:
    made = script(tmp_path, "exit 3")
    with Path(os.devnull).open() as tun:
        failing = Program(made, tun=tun.fileno(), device="x0", folder=tmp_path / "s", port=1)
        with pytest.raises(EngineError, match=r"ended at once|cannot be started"):
            await failing.start()
        await failing.stop()
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700


async def test_a_namespace_that_cannot_be_entered(tmp_path: Path) -> None:
    made = script(tmp_path, "exit 3")
    with Path(os.devnull).open() as tun:
        failing = Program(
            made,
            tun=tun.fileno(),
            device="x0",
            folder=tmp_path / "s",
            port=1,
            namespace=[tun.fileno()],
        )
        with pytest.raises(EngineError, match="cannot enter the network namespace"):
            await failing.start()
        await failing.stop()
