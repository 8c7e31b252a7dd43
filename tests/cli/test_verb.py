from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest

from octelium.cli import menu
from octelium.cli.invocation import Invocation
from octelium.cli.menu import CONNECTION
from octelium.cli.program import program
from octelium.cli.verb import VerbGroup, connection_options, verb

if TYPE_CHECKING:
    from collections.abc import Iterator


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


_SEPARATORS = {"|", "&&", ";", ">", "<", "(", ")", "<(", ">("}


def commands(group: click.Group, path: list[str]) -> Iterator[tuple[list[str], click.Command]]:
    """Every command of a program, with the words that call it."""
    context = click.Context(group, info_name=path[-1], obj=Invocation({}))
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield [*path, name], command
        if isinstance(command, click.Group):
            yield from commands(command, [*path, name])


EVERY = [
    (path, command) for name in menu.PROGRAMS for path, command in commands(program(name), [name])
]


def examples(text: str) -> list[str]:
    """The command lines of the section of examples."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith(("Example:", "Examples:", "  Example:", "  Examples:")):
            found = [line.partition(":")[2].strip()]
        elif found and not line.strip():
            break
        elif found:
            found.append(line.strip())
    return [line for line in found if line]


def calls(line: str) -> Iterator[list[str]]:
    """The words of each call of one of the programs in a shell's command line."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    words: list[str] = []
    for word in (*reader, ";"):
        if word in _SEPARATORS:
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0], re.DOTALL):
                words.pop(0)
            if words and words[0] in menu.PROGRAMS:
                yield words
            words = []
        else:
            words.append(word)


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[" ".join(path) for path, _ in EVERY])
def test_every_example_is_a_command_line_that_works(
    path: list[str],
    command: click.Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever the command does is left out: only its arguments are read."""
    assert program(path[0]).run([*path[1:], "--help"], Invocation({})) == 0
    shown = examples(capsys.readouterr().out)
    assert shown, path
    begun: list[object] = []
    monkeypatch.setattr(
        click.Context, "invoke", lambda _self, callback, *_a, **_k: begun.append(callback)
    )
    # The files of the examples need not be there.
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, *_: value)
    own = False
    for line in shown:
        made = list(calls(line))
        assert made, line
        for name, *arguments in made:
            begun.clear()
            code = program(name).run(arguments, Invocation({}))
            assert (code, capsys.readouterr().err) == (0, ""), line
            assert begun, line
            own = own or [name, *arguments][: len(path)] == path
    assert own, f"{path} has no example of its own"


def test_the_examples_of_programs() -> None:
    for name, entry in menu.PROGRAMS.items():
        [words] = calls(entry.example)
        assert words[0] == name
        assert entry.find(words[1]) is not None
