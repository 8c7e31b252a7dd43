"""From an argument vector to an exit code."""

from __future__ import annotations

import os
import sys

from octelium.cli import menu

DEFAULT = "octelium"
_HELP = (["--help"], ["-h"], ["help"])


def program_name(argv: list[str]) -> tuple[str, list[str]]:
    """The program that `argv` asks for, and its arguments.

    A link called `octeliumctl` is octeliumctl; every other name is octelium, whose first argument
    may name the program too (`octelium.pyz octeliumctl get users`).
    """
    name = os.path.basename(argv[0]).removesuffix(".pyz")  # noqa: PTH119  (pathlib costs 10 ms)
    if name not in menu.PROGRAMS:
        name = DEFAULT
    arguments = argv[1:]
    if name == DEFAULT and arguments and arguments[0] in menu.PROGRAMS:
        name = arguments.pop(0)
    return name, arguments


def run(argv: list[str]) -> int:
    """Run a program and return its exit code."""
    name, arguments = program_name(argv)
    if arguments in _HELP:
        return _show(menu.help_text(menu.PROGRAMS[name]))
    from octelium.cli.program import program

    return program(name).run(arguments)


def _show(text: str) -> int:
    try:
        # A terminal's other cares would cost as much as all the rest.
        if sys.stdout is not None:
            sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
            sys.stdout.flush()
            return 0
    except OSError:
        pass  # told below, as for every other command
    from octelium.cli.terminal import OutputError, Terminal

    terminal = Terminal(os.environ)
    try:
        terminal.show(text)
    except OutputError as error:
        terminal.fail(str(error))
        return 1
    return 0
