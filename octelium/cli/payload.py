"""Values of Secrets and Configs: from an option, a file, stdin or a hidden prompt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.sources import STDIN, UnreadableError
from octelium.cli.words import FILE

if TYPE_CHECKING:
    from collections.abc import Callable


def value_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options `--value` and `-f`."""
    file = click.option(
        "-f", "--file", metavar="PATH", type=FILE, help="A file with the value; `-`: stdin."
    )
    value = click.option("--value", metavar="TEXT", help="The value itself.")
    return value(file(function))


def read_value(value: str | None, file: str | None, prompt: str) -> bytes:
    """The value that the options give; without them it is asked for, unseen.

    Raises click.UsageError for both or for none where nobody can be asked, UnreadableError.
    """
    if value is not None and file is not None:
        raise click.UsageError("Give either --value or --file.")
    if value is not None:
        return value.encode()
    if file is not None:
        return read_bytes(file)
    if not sys.stdin.isatty():
        raise click.UsageError("Give the value with --value TEXT, -f PATH or -f - (stdin).")
    answer = click.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True)
    return str(answer).encode()


def read_bytes(path: str) -> bytes:
    """The content of a file or of stdin. Raises UnreadableError."""
    if path == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror}") from error


def read_text(path: str) -> str:
    """The text of a PEM file. Raises UnreadableError."""
    try:
        return read_bytes(path).decode("ascii")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path} is not a PEM file") from error


def fill_secret(
    message: Any,
    value: str | None,
    file: str | None,
    secret_type: str,
    cert: str | None,
    key: str | None,
) -> None:
    """Put a value, or a certificate and its key, into a Secret.

    A certificate chain stands in `spec.data`, its key in `data`. Raises click.UsageError,
    UnreadableError.
    """
    if secret_type == "cert":  # noqa: S105  (a type's name)
        if cert is None or key is None or value is not None or file is not None:
            raise click.UsageError("A certificate is given with --cert PATH and --cert-key PATH.")
        message.spec.data.value = read_text(cert)
        message.data.value = read_text(key)
    elif cert is not None or key is not None:
        raise click.UsageError("--cert and --cert-key go with --type cert.")
    else:
        message.data.value_bytes = read_value(value, file, "Value of the Secret")
