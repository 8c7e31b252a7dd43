from __future__ import annotations

import pytest

from octelium.cli import menu
from octelium.cli.entry import program_name, run


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["octelium"], ("octelium", [])),
        (["/x/octeliumctl", "get"], ("octeliumctl", ["get"])),
        (["octops.pyz", "cert"], ("octops", ["cert"])),
        (["anything", "status"], ("octelium", ["status"])),
        (["octelium.pyz", "octeliumctl", "get"], ("octeliumctl", ["get"])),
        (["octeliumctl", "octops"], ("octeliumctl", ["octops"])),
        ([""], ("octelium", [])),
    ],
)
def test_which_program(argv: list[str], expected: tuple[str, list[str]]) -> None:
    assert program_name(argv) == expected


@pytest.mark.parametrize("flag", ["-h", "--help", "help"])
def test_help_is_the_table(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["octops", flag]) == 0
    assert capsys.readouterr().out == f"{menu.help_text(menu.PROGRAMS['octops'])}\n"


def test_everything_else_is_the_program_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["octops", "version"]) == 0
    assert "releaseVersion" in capsys.readouterr().out
