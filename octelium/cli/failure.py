"""From an exception to what a person reads and to an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli import exits
from octelium.client.errors import ApiError, ClientError
from octelium.schema.errors import Invalid, InvalidDocuments

if TYPE_CHECKING:
    from octelium.cli.terminal import Terminal

EXPECTED = (ClientError, Invalid, InvalidDocuments)
"""What commands may raise: mistakes of input, refusals, and the world's failures."""


class Failed(click.ClickException):
    """A command that did not do all that it was asked for. Everything has been said already."""

    def __init__(self, code: int = exits.FAILED) -> None:
        super().__init__("")
        self.exit_code = code


def report(error: Exception, terminal: Terminal, about: str = "") -> None:
    """Say what went wrong; `about` names what it happened to. `error` is one of `EXPECTED`."""
    prefix = f"{about}: " if about else ""
    if isinstance(error, InvalidDocuments):
        for fault in error.errors:
            terminal.fail(f"{prefix}{fault}")
        return
    remedy = error.remedy if isinstance(error, ClientError) else ""
    if isinstance(error, ApiError) and not remedy and error.message in _BARE:
        said, remedy = _PLAIN.get(error.code, (error.message, ""))
        error = ApiError(error.code, said, error.method)
    terminal.fail(f"{prefix}{error}", remedy)


# Refusals that say nothing of their own: those of the proxy in front of the API.
_BARE = ("", "Octelium: Unauthenticated", "Octelium: Unauthorized")
_NOT_ALLOWED = (
    "the Policies of this Session, its User or Groups do not allow the call; an administrator "
    "sees why: octeliumctl logs --decision denied -o wide"
)
_PLAIN = {
    "UNAUTHENTICATED": (
        "the Session has ended, or its token is not good any more",
        "log in again: octelium login",
    ),
    "PERMISSION_DENIED": ("you may not do this", _NOT_ALLOWED),
}
"""What a person is told of them, and what to do."""
