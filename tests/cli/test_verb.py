from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.invocation import Invocation
from octelium.cli.menu import CONNECTION
from octelium.cli.verb import VerbGroup, connection_options, verb

if TYPE_CHECKING:
    import pytest


@verb(
    example="""
    x one
    x two
    """
)
@click.argument("word")
@click.option("--own", help="Its own option.")
def command(invocation: Invocation, word: str, own: str | None) -> int:
    """Do something."""
    assert (word, own) == ("w", None)
    return len(invocation.flags)


def test_help_has_its_sections_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--help"], prog_name="x", standalone_mode=False)
    text = capsys.readouterr().out
    sections = [line for line in text.splitlines() if line.endswith(":")]
    assert sections == ["Options:", "Connection:", "Examples:"]
    assert text.endswith("Examples:\n  x one\n  x two\n")
    assert "--own TEXT" in text


def test_the_function_gets_the_invocation_and_its_result_is_the_exit_code() -> None:
    invocation = Invocation({})
    arguments = ["w", "--domain", "d", "--endpoint=h:1", "--logout"]
    code = command.main(arguments, prog_name="x", standalone_mode=False, obj=invocation)
    assert code == 2
    assert invocation.flags == {"domain": "d", "endpoint": "h:1"}
    assert invocation.logout_wanted


def test_every_row_of_the_table_is_an_option() -> None:
    options = connection_options()
    assert [option.opts[0] for option in options] == [flag for flag, _, _ in CONNECTION]


def test_a_group_gives_its_options_to_its_commands() -> None:
    group = VerbGroup("g", example="g x", commands={"command": command})
    invocation = Invocation({})
    arguments = ["--domain", "a", "command", "w", "--ca-file", "f"]
    assert group.main(arguments, prog_name="g", standalone_mode=False, obj=invocation) == 2
    assert invocation.flags == {"domain": "a", "ca_file": "f"}


def test_a_command_without_a_connection() -> None:
    @verb("alone", example="alone", connects=False)
    def alone(invocation: Invocation) -> None:
        """Do nothing."""

    assert [parameter.name for parameter in alone.params] == []
