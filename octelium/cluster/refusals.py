"""Which refused attempts to sign in are listed one by one.

Anybody can fail to sign in, as often as wanted. So that nobody fills the log or keeps the control
process busy with it, and a flood from one place hides nothing from another, only so many are listed
within a minute: of one client about one User or Credential, of all about somebody, and of all about
nobody. The others are counted, and one entry tells of them when the minute is over.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.identity.attempts import Attempt

SECONDS: Final = 60.0
EACH: Final = 30
"""Of one client (its /64 in IPv6) about one User or Credential, or about nobody."""
MOST: Final = 1000
"""Of all clients about somebody; and once more about nobody."""


@dataclass(slots=True)
class Unlisted:
    """Attempts that were only counted."""

    count: int
    last: Attempt
    address: str
    """Where all of them came from; empty if that were several places."""


@dataclass(slots=True)
class _Minute:
    ends_at: float
    listed: int = 0
    keys: dict[tuple[str, str], int] = field(default_factory=dict)
    unlisted: Unlisted | None = None


class Refusals:
    """Decides about one refused attempt after another. `clock` gives seconds that never jump."""

    def __init__(self, clock: Callable[[], float], *, each: int = EACH, most: int = MOST) -> None:
        self.unlisted = 0
        """Attempts that were never listed."""
        self._clock = clock
        self._each = each
        self._most = most
        self._minutes: dict[bool, _Minute] = {}

    def lists(self, attempt: Attempt) -> bool:
        """Whether an attempt is to be listed; else it is counted. `take` comes first."""
        who = _who(attempt)
        minute = self._minutes.setdefault(bool(who), _Minute(self._clock() + SECONDS))
        address = attempt.downstream.address
        if minute.listed < self._most:
            key = who, _place(address)
            used = minute.keys.get(key, 0)
            if used < self._each:
                minute.keys[key] = used + 1
                minute.listed += 1
                return True
        self.unlisted += 1
        known = minute.unlisted
        if known is None:
            minute.unlisted = Unlisted(1, attempt, address)
        else:
            known.count += 1
            known.last = attempt
            known.address = address if address == known.address else ""
        return False

    def take(self) -> list[Unlisted]:
        """What was only counted in minutes that are over, once."""
        now = self._clock()
        over = [known for known, minute in self._minutes.items() if minute.ends_at <= now]
        ended = [self._minutes.pop(known).unlisted for known in over]
        return [unlisted for unlisted in ended if unlisted is not None]


def _who(attempt: Attempt) -> str:
    """The uid of whom an attempt is about; empty if nobody knows."""
    known = (attempt.user, attempt.credential, attempt.session, attempt.authenticator)
    return next((ref.uid for ref in known if ref is not None and ref.uid), "")


def _place(address: str) -> str:
    """A client, however many addresses of IPv6 it has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
