"""When an Authenticator has last been used with success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core

EXT: Final = "lastUse"
"""Key in `authenticator.status.ext`: `{at}`, in unix seconds. The attempts that the schema keeps do
not tell good ones from bad ones, and sign-ins with a passkey alone are not among them."""
_AT: Final = "at"


def count(authenticator: core.Authenticator, now: int) -> None:
    """Remember that it has authenticated its User."""
    authenticator.status.successful_authentications += 1
    authenticator.status.ext[EXT].update({_AT: now})


def last(authenticator: core.Authenticator) -> int:
    """Unix seconds; 0 if it was never used, or not since this is remembered."""
    told = authenticator.status.ext
    return int(told[EXT].fields[_AT].number_value) if EXT in told else 0
