"""Remembered logins, in the file format of the official clients (`octelium.db`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from octelium.client.errors import StateError
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import client_config_v1_pb2 as config

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from octelium.client.storage import Storage

FILE = "octelium.db"
_SHORT = 3600
_MARGIN = 600
_EXCHANGE = 60.0


@dataclass(frozen=True, slots=True)
class Login:
    """The tokens of one Session, and when they were received (Unix seconds)."""

    token: auth.SessionToken
    set_at: float

    def is_valid(self, now: float) -> bool:
        """Whether the refresh token should still be good."""
        token = self.token
        return bool(
            token.refresh_token
            and token.refresh_token_expires_in
            and self.set_at + token.refresh_token_expires_in > now
        )

    def is_usable(self, now: float) -> bool:
        """Whether the access token should still be good by itself. A life of 0 never ends."""
        life = self.token.expires_in
        return life == 0 or self.set_at + life > now

    def refresh_due(self, now: float) -> bool:
        """Whether to get a new access token: at half of its life, or 600 s before its end.

        The latter is for lives under an hour. A life of 0 never ends.
        """
        life = self.token.expires_in
        if life == 0:
            return False
        left = self.set_at + life - now
        return left < _MARGIN if life < _SHORT else left < life / 2


class LoginState:
    """The logins of all Clusters, by domain. Each operation holds the file's lock.

    Reading needs no right to write: where there is none it goes without the lock, if need be.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, domain: str) -> Login | None:
        """The login for a domain, or None. Raises StateError when the file is damaged."""
        with self._storage.reading(FILE):
            state = self._read()
        if domain not in state.domain_map:
            return None
        entry = state.domain_map[domain]
        token = auth.SessionToken()
        token.CopyFrom(entry.session_token)
        return Login(token, entry.session_token_set_at.ToNanoseconds() / 1e9)

    def put(self, domain: str, login: Login) -> None:
        """Remember a login in place of the former one."""
        with self._storage.lock(FILE):
            state = self._read()
            entry = state.domain_map[domain]
            entry.session_token.CopyFrom(login.token)
            entry.session_token_set_at.FromNanoseconds(int(login.set_at * 1e9))
            self._write(state)

    def forget(self, domain: str) -> None:
        """Remove the login for a domain, if there is one."""
        with self._storage.lock(FILE):
            state = self._read()
            if domain in state.domain_map:
                del state.domain_map[domain]
                self._write(state)

    def domains(self) -> list[str]:
        """The domains that have an entry, in order."""
        with self._storage.reading(FILE):
            return sorted(self._read().domain_map)

    def rehearse(self) -> None:
        """Find out whether a login can be remembered. Raises StateError: it cannot."""
        self._storage.rehearse(FILE)

    def refreshing(self) -> AbstractContextManager[None]:
        """Held while tokens are being exchanged.

        A second process that refreshed with the same token would be signed out by it. A lock of
        its own, since others may want to read the file meanwhile.
        """
        return self._storage.lock(f"{FILE}.refresh", _EXCHANGE)

    def _read(self) -> config.State:
        try:
            return config.State.FromString(self._storage.read(FILE))
        except DecodeError as error:
            raise StateError(
                f"{self._storage.where(FILE)} is damaged",
                "remove the file and log in again",
            ) from error

    def _write(self, state: config.State) -> None:
        self._storage.write(FILE, state.SerializeToString(deterministic=True))
