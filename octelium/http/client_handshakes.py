"""TLS handshakes of HTTPX's connections that leave no socket behind when a call is given up.

The library closes the socket of a handshake that fails, but not of one that is cancelled, as at a
time limit or when its process ends. It would stay open until the garbage collector finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping


class ClientRequest(Protocol):
    """A request of HTTPX, as far as it matters here."""

    @property
    def extensions(self) -> MutableMapping[str, Any]:
        """What the library is told beside the request itself."""


async def watch_handshake(request: ClientRequest) -> None:
    """Have the library tell of the connection that a call may need. See HTTPX, "Event Hooks"."""
    request.extensions["trace"] = _Handshake()


class _Handshake:
    """Told what happens to the connection of a call, and closes it unless its handshake ends well.

    See HTTPX, "Extensions", `trace`.
    """

    def __init__(self) -> None:
        self._stream: Any = None

    async def __call__(self, event: str, about: Mapping[str, Any]) -> None:
        """One event, with what the library says about it."""
        if event == "connection.connect_tcp.complete":
            self._stream = about["return_value"]
        elif event == "connection.start_tls.failed":
            await self._stream.aclose()
