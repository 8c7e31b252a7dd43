"""Logins that are under way at an IdentityProvider.

What comes back with a browser is an id that nobody can guess, for one use within eight minutes, and
only together with the cookie of the browser that the login began in (RFC 6749 section 10.12): who
talks somebody into opening the end of a login of his own gets nothing.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.authserver.short_lived import ShortLived
from octelium.http.callers import caller_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.authserver.targets import Target
    from octelium.schema.pb import core_v1_pb2 as core

SECONDS: Final = 8 * 60
_MOST: Final = 16_384
_MOST_EACH: Final = 512
_CHARACTERS: Final = string.ascii_letters + string.digits
_ID: Final = re.compile(r"[A-Za-z0-9]{36}")


def new_id() -> str:
    """36 random letters and digits."""
    return "".join(secrets.choice(_CHARACTERS) for _ in range(36))


@dataclass(frozen=True, slots=True)
class LoginState:
    """A login that has begun."""

    id: str
    provider: core.IdentityProvider
    """As it was then."""
    private: Mapping[str, str]
    """What the provider's protocol needs at the end."""
    target: Target
    refresh_token: str = ""
    """The one that the browser had. A form that another site posts back comes without it."""


class LoginStates:
    """The logins under way; those of one caller beyond 512 end the oldest of it."""

    def __init__(self) -> None:
        self._states: ShortLived[LoginState] = ShortLived(SECONDS, most=_MOST, most_each=_MOST_EACH)

    def put(self, state: LoginState, address: str) -> None:
        """Remember a login of a client at `address`."""
        self._states.put(state.id, state, caller_of(address))

    def get(self, cookie: str) -> LoginState | None:
        """The login that began in a browser with this cookie."""
        return self._states.get(cookie) if _ID.fullmatch(cookie) else None

    def take(self, returned: str, cookie: str) -> LoginState | None:
        """The login that a browser comes back from, once; None unless it is the browser's own."""
        if _ID.fullmatch(returned) is None or not cookie.isascii():
            return None
        if not hmac.compare_digest(returned, cookie):
            return None
        return self._states.take(returned)
