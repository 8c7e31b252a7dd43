"""The HTTP client of an account, and another one when it is time for it.

The library does not get over every cancellation: in some moments a connection stays in its pool for
good, neither free nor closed, and when the pool is full of such nothing goes on. So a client that
was used by a call that was cancelled, be it by its time limit, is used by no further one, and
closed with all its connections once nobody uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.controller.kube.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx import AsyncClient

    from octelium.controller.kube.account import Account


@dataclass(eq=False, slots=True)
class Lent:
    """A client, and how many calls use it."""

    client: AsyncClient
    authority: bytes
    users: int = 0


class Clients:
    """The clients of an account: the one for calls that begin, and former ones still in use.

    `timeout` is the seconds that each step of a call may take.
    """

    def __init__(self, account: Account, timeout: float) -> None:
        self._account = account
        self._timeout = timeout
        self._present: Lent | None = None
        self._former: set[Lent] = set()

    @contextlib.asynccontextmanager
    async def lend(self) -> AsyncIterator[AsyncClient]:
        """A client for one call.

        Raises `BusyError` where the certificates of the authority cannot be read, or the call
        found no answer.
        """
        import httpx

        lent = self._lendable()
        lent.users += 1
        try:
            yield lent.client
        except asyncio.CancelledError:
            self._retire(lent)
            raise
        except (httpx.HTTPError, OSError) as error:
            if self._account.authority() != lent.authority:
                self._retire(lent)
            text = str(error) or type(error).__name__
            raise BusyError(f"the API server cannot be reached: {text}") from error
        finally:
            lent.users -= 1
            if not lent.users and lent in self._former:
                self._former.remove(lent)
                await lent.client.aclose()

    async def close(self) -> None:
        """End all connections, also those in use."""
        if self._present is not None:
            self._retire(self._present)
        former, self._former = self._former, set()
        for lent in former:
            await lent.client.aclose()

    def _lendable(self) -> Lent:
        if self._present is None:
            authority = self._account.authority()
            try:
                client = self._account.connect(self._timeout)
            except OSError as error:
                raise BusyError(f"the certificates of the authority: {error}") from error
            self._present = Lent(client, authority)
        return self._present

    def _retire(self, lent: Lent) -> None:
        if lent is self._present:
            self._present = None
            self._former.add(lent)
