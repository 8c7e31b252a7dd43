"""How the value of a Secret is given, the same where it is created and where it is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

from octelium.cli.words import FILE

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")

_OPTIONS = (
    click.option("--value", metavar="TEXT", help="The value itself."),
    click.option(
        "-f", "--file", metavar="PATH", type=FILE, help="A file with the value; `-`: stdin."
    ),
    click.option(
        "--type",
        "secret_type",
        type=click.Choice(["value", "cert"]),
        default="value",
        show_default=True,
        help="What it is: a value, or a certificate with its key.",
    ),
    click.option("--cert", metavar="PATH", type=FILE, help="The certificate chain (PEM)."),
    click.option("--cert-key", metavar="PATH", type=FILE, help="Its private key (PEM)."),
)


def secret_options(function: F) -> F:
    """Add `--value`, `--file`, `--type`, `--cert` and `--cert-key` to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
