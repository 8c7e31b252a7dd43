from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.surroundings import open_address, opener
from tests.e2e.cluster import wait_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="program")
def program_fixture(tmp_path: Path) -> Path:
    program = tmp_path / "xdg-open"
    program.write_text(f'#!/bin/sh\necho loud\nprintf %s "$1" > {tmp_path}/opened\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_a_desktop(program: Path, display: str) -> None:
    environ = {"PATH": str(program.parent), display: ":0"}
    assert opener(environ, "linux") == [str(program)]
    assert opener({**environ, "SSH_CONNECTION": "x"}, "linux") == [str(program)]


def test_no_display_or_no_program(program: Path, tmp_path: Path) -> None:
    assert opener({"PATH": str(program.parent)}, "linux") is None
    assert opener({"PATH": str(program.parent), "DISPLAY": ""}, "linux") is None
    assert opener({"PATH": str(tmp_path / "none"), "DISPLAY": ":0"}, "linux") is None


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_have_one_unless_from_afar(platform: str) -> None:
    assert opener({}, platform)
    assert opener({"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, platform) is None


def test_opening(program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = "https://lab.test/login?octelium_req=a&b=$(id);c"
    assert open_address([str(program)], url)
    assert wait_for(lambda: (tmp_path / "opened").read_text() == url)
    assert capfd.readouterr() == ("", "")
    assert not open_address([str(tmp_path / "none")], url)
