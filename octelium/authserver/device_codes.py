"""Logins of machines without a browser, which a person lets in from elsewhere (RFC 8628)."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from octelium.authserver.short_lived import ShortLived
from octelium.http.callers import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.identity.sessions import Downstream

SECONDS: Final = 10 * 60
INTERVAL: Final = 5
_SLOWER: Final = 5
_MOST: Final = 4096
_MOST_EACH: Final = 32
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Without vowels, so that no words come out (RFC 8628 section 6.1); eight are some 34 bits."""
_USER_CODE: Final = re.compile(f"[{_LETTERS}]{{8}}")
_GUESSES: Final = 10
_GUESS_SECONDS: Final = 10 * 60


class Verdict(Enum):
    """What the person said."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"


class PollError(Exception):
    """A machine gets nothing yet, or at all; the text is the code of RFC 8628 section 3.5."""


@dataclass(slots=True)
class DeviceLogin:
    """A machine that waits."""

    device_code: str
    user_code: str
    client_id: str
    downstream: Downstream
    """Who asked, and from where."""
    scopes: list[str] | None
    next_poll: float
    interval: float = INTERVAL
    verdict: Verdict = Verdict.OPEN
    session_uid: str = ""
    """The browser's Session of who approved it."""

    @property
    def shown_code(self) -> str:
        """The code as people read it."""
        return f"{self.user_code[:4]}-{self.user_code[4:]}"


def normal_code(text: str) -> str:
    """What a person typed as a code of eight letters; empty if it cannot be one."""
    letters = re.sub(r"[\s-]", "", text[:32]).upper() if text.isascii() else ""
    return letters if _USER_CODE.fullmatch(letters) else ""


class DeviceCodes:
    """The machines that wait, by either of their codes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logins: ShortLived[DeviceLogin] = ShortLived(
            SECONDS, most=_MOST, most_each=_MOST_EACH, clock=clock
        )
        self._device_codes: ShortLived[str] = ShortLived(
            SECONDS, most=_MOST, most_each=_MOST_EACH, clock=clock
        )
        self._guesses: ShortLived[list[float]] = ShortLived(
            _GUESS_SECONDS, most=_MOST, most_each=1, clock=clock
        )

    def begin(
        self, client_id: str, scopes: list[str] | None, downstream: Downstream
    ) -> DeviceLogin:
        """A new login; of one caller at most 32 wait at a time."""
        user_code = _new_code()
        while self._device_codes.get(user_code) is not None:
            user_code = _new_code()
        login = DeviceLogin(
            device_code=secrets.token_urlsafe(32),
            user_code=user_code,
            client_id=client_id,
            downstream=downstream,
            scopes=scopes,
            next_poll=self._clock() + INTERVAL,
        )
        caller = caller_of(downstream.address)
        self._logins.put(login.device_code, login, caller)
        self._device_codes.put(user_code, login.device_code, caller)
        return login

    def of_user_code(self, user_code: str, guesser: str) -> DeviceLogin | None:
        """The login of a code that `guesser` typed, if nobody has decided about it.

        After ten wrong codes within ten minutes even the right one is none (RFC 8628 section 5.1).
        """
        now = self._clock()
        wrong = [at for at in self._guesses.get(guesser) or [] if at > now - _GUESS_SECONDS]
        if len(wrong) >= _GUESSES:
            return None
        login = self._logins.get(self._device_codes.get(user_code) or "")
        if login is None or login.verdict is not Verdict.OPEN:
            self._guesses.put(guesser, [*wrong, now], guesser)
            return None
        return login

    def decide(self, login: DeviceLogin, verdict: Verdict, session_uid: str) -> None:
        """What a person has said; the code is of no use to anybody from here on."""
        self._device_codes.take(login.user_code)
        login.verdict = verdict
        login.session_uid = session_uid

    def poll(self, device_code: str, client_id: str) -> DeviceLogin:
        """The login of a machine that asks for its tokens, approved, and for the last time.

        Raises:
            PollError: there are no tokens for it, yet or at all.
        """
        login = self._logins.get(device_code)
        if login is None:
            raise PollError("expired_token")
        if not hmac.compare_digest(login.client_id.encode(), client_id.encode()):
            raise PollError("invalid_grant")
        if login.verdict is Verdict.OPEN:
            raise PollError(self._pace(login))
        self._logins.take(device_code)
        if login.verdict is Verdict.DENIED:
            raise PollError("access_denied")
        return login

    def _pace(self, login: DeviceLogin) -> str:
        now = self._clock()
        early = now < login.next_poll - 0.5  # what a network may gain on the way
        if early:
            login.interval += _SLOWER
        login.next_poll = now + login.interval
        return "slow_down" if early else "authorization_pending"


def _new_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(8))
