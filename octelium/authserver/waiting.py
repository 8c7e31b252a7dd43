"""What Sessions are on their way to: kept here, since a browser that went through other pages
meanwhile comes back with nothing but its cookies.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.authserver.short_lived import ShortLived
from octelium.authserver.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.authserver.targets import ClientLogin

TARGET_SECONDS: Final = 12 * 60
REQUEST_SECONDS: Final = 5 * 60
LET_IN_SECONDS: Final = 60
"""As long as a command line has to use what the browser brings it."""
_MOST: Final = 16_384


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A command line that asks a person to be let in."""

    id: str
    client: ClientLogin


class Waiting:
    """Targets and requests, one of each by the uid of a Session."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._targets: ShortLived[Target] = ShortLived(
            TARGET_SECONDS, most=_MOST, most_each=1, clock=clock
        )
        self._requests: ShortLived[ApprovalRequest] = ShortLived(
            REQUEST_SECONDS, most=_MOST, most_each=1, clock=clock
        )

        self._let_in: ShortLived[bool] = ShortLived(
            LET_IN_SECONDS, most=_MOST, most_each=1, clock=clock
        )

    def keep_target(self, session_uid: str, target: Target) -> None:
        """Remember where the browser of a Session goes when nothing stands in its way any more."""
        if target != Target():
            self._targets.put(session_uid, target, session_uid)

    def take_target(self, session_uid: str) -> Target:
        """Where it goes, once; to the Portal if nothing else was said."""
        return self._targets.take(session_uid) or Target()

    def ask(self, session_uid: str, client: ClientLogin) -> None:
        """Have a person decide about a command line, instead of about any other before."""
        request = ApprovalRequest(secrets.token_urlsafe(16), client)
        self._requests.put(session_uid, request, session_uid)

    def asked(self, session_uid: str) -> ApprovalRequest | None:
        """What the person of a Session is asked."""
        return self._requests.get(session_uid)

    def answer(self, session_uid: str) -> ApprovalRequest | None:
        """What the person of a Session was asked, once."""
        return self._requests.take(session_uid)

    def let_in(self, session_uid: str) -> None:
        """Remember that the person of a Session has let a command line in."""
        self._let_in.put(session_uid, value=True, owner=session_uid)

    def has_let_in(self, session_uid: str) -> bool:
        """Whether that was just so, once."""
        return self._let_in.take(session_uid) is not None
