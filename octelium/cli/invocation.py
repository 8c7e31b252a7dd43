"""One run of a command: its settings, its streams, its Cluster."""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import TYPE_CHECKING

from octelium.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.client.client import Client
    from octelium.client.settings import Flags
    from octelium.client.storage import Storage

_TRUE = ("true", "1", "yes")


class Invocation:
    """What the parts of one command share. `flags` are the connection options that were given.

    The arguments replace the process's own environment, clock and memory, for tests and for
    programs that run a command within themselves.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        storage: Storage | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.flags: dict[str, str] = {}
        self.logout_wanted = self.environ.get("OCTELIUM_LOGOUT", "").lower() in _TRUE
        self.terminal = Terminal(self.environ)
        self.now = clock
        self.sleep = sleep
        self._storage = storage

    @cached_property
    def client(self) -> Client:
        """The Cluster that the flags, the environment and earlier logins mean."""
        return self._client(self._connection_flags(), self.terminal.warn, self.terminal.note)

    def client_of(self, domain: str) -> Client:
        """Another Cluster, as it was reached before; whoever asks for it closes it."""
        from octelium.client.settings import Flags

        return self._client(Flags(domain), self.terminal.warn)

    def silent_client(self) -> Client:
        """Another client of the same Cluster, which tells nobody anything, as `client_of`."""
        return self._client(self._connection_flags(), lambda _text: None)

    def _connection_flags(self) -> Flags:
        from octelium.client.settings import Flags

        return Flags(**{name: value for name, value in self.flags.items() if name != "homedir"})

    def _client(
        self,
        flags: Flags,
        warn: Callable[[str], None],
        note: Callable[[str], None] | None = None,
    ) -> Client:
        from octelium.client.client import Client

        return Client(
            flags,
            self.environ,
            homedir=self.flags.get("homedir"),
            warn=warn,
            note=note,
            storage=self._storage,
            clock=self.now,
            sleep=self.sleep,
        )

    def finish(self) -> None:
        """After success: end the Session that was used, if `--logout` wants it.

        Raises ClientError.
        """
        if self.logout_wanted and self._is_connected:
            domain = self.client.domain
            self.client.logout()
            self.terminal.note(f"Logged out of {domain}.")

    def close(self) -> None:
        """Close what is open. A Session that only this process knows ends, as well as it can."""
        if not self._is_connected:
            return
        from octelium.client.errors import ClientError

        try:
            self.client.end_unkept()
        except ClientError as error:
            self.terminal.warn(f"the Session of this command goes on: {error}")
        finally:
            self.client.close()

    @property
    def _is_connected(self) -> bool:
        return "client" in self.__dict__
