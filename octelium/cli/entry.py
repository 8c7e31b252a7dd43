"""From an argument vector to an exit code."""

from __future__ import annotations

import os
import sys

from octelium.cli import menu

DEFAULT = "octelium"
_HELP = (["--help"], ["-h"])


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
        sys.stdout.write(f"{menu.help_text(menu.PROGRAMS[name])}\n")
        return 0
    from octelium.cli.program import program

    return program(name).run(arguments)
