"""Proof that a form is one that this server showed to a Session.

Beside the origin that browsers name, for those pages that change what a person has.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


class FormTokens:
    """Tokens of Sessions, under a key of this process: they end when it does."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, session_uid: str) -> str:
        """The token of a Session's forms."""
        return hmac.new(self._key, session_uid.encode(), hashlib.sha256).hexdigest()

    def is_of(self, token: str, session_uid: str) -> bool:
        """Whether `token` is that of the Session."""
        return hmac.compare_digest(token.encode(), self.of(session_uid).encode())
