from __future__ import annotations

from importlib import import_module

import click
import pytest

from octelium.cli import menu

TARGETS = sorted(
    (program.name, name, entry.target)
    for program in menu.PROGRAMS.values()
    for name, entry in program.commands.items()
)


@pytest.mark.parametrize(("program", "name", "target"), TARGETS)
def test_every_command_exists(program: str, name: str, target: str) -> None:
    module, _, attribute = target.partition(":")
    if module.startswith("octelium.cluster"):
        pytest.importorskip(module)
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)


@pytest.mark.parametrize("program", menu.PROGRAMS.values(), ids=lambda program: program.name)
def test_names_and_aliases_mean_one_command(program: menu.Program) -> None:
    words = list(program.commands)
    for entry in program.commands.values():
        words += entry.aliases
        for alias in entry.aliases:
            assert program.find(alias) is entry
    assert len(words) == len(set(words))
    assert program.find("nothing") is None


def test_help_lists_the_commands() -> None:
    text = menu.help_text(menu.PROGRAMS["octelium"])
    assert "\n  status      Show who one is logged in as.\n" in text
    assert "OCTELIUM_DOMAIN" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "--domain" not in menu.help_text(menu.PROGRAMS["octops"])
