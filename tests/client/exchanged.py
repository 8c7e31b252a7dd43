"""An exchange in memory: what proofs ask it for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from octelium.client.errors import ApiError
from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKENS = auth.SessionToken(access_token="a", refresh_token="r")


@dataclass
class Recorded:
    """Remembers what it was asked for; fails with `code` if there is one."""

    code: str = ""
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def authenticate(
        self, token: str, scopes: Sequence[str], code_verifier: bytes = b""
    ) -> auth.SessionToken:
        return self._answer("authenticate", token, tuple(scopes), code_verifier)

    def vouch(self, assertion: str, provider: str, scopes: Sequence[str]) -> auth.SessionToken:
        return self._answer("vouch", assertion, provider, tuple(scopes))

    def refresh(self, refresh_token: str) -> auth.SessionToken:
        raise AssertionError(refresh_token)

    def logout(self, refresh_token: str) -> None:
        raise AssertionError(refresh_token)

    def _answer(self, *asked: object) -> auth.SessionToken:
        self.asked.append(asked)
        if self.code:
            raise ApiError(self.code, "no", "")
        return TOKENS
