"""Talk between a running `octelium connect` and other commands of the same user on this host.

A Unix socket in the state directory, for this user alone (mode 0600): one JSON object each way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from octelium.client import ownership
from octelium.client.locks import HeldError, locked
from octelium.client.tunnel.errors import TunnelError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

_LONGEST: Final = 1 << 20
_SECONDS: Final = 5.0
_GONE: Final = (FileNotFoundError, ConnectionRefusedError)


class Place:
    """Where a connection of one Cluster and one state directory keeps its files."""

    def __init__(self, directory: Path, domain: str) -> None:
        self.directory = directory
        self._name = f"connect-{hashlib.sha256(domain.encode()).hexdigest()[:16]}"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.directory / f"{self._name}.sock"

    @property
    def log(self) -> Path:
        """What a connection in the background says."""
        return self.directory / f"{self._name}.log"

    @property
    def was_killed(self) -> bool:
        """Whether a connection here ended without a word: nobody hears what it listened on.

        To be asked where nobody answers.
        """
        return self.socket.is_socket()

    def forget(self) -> None:
        """Remove what a connection left that was killed, unless another one begins just now."""
        if self.was_killed:
            with contextlib.suppress(TunnelError), self.hold():
                self.socket.unlink(missing_ok=True)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Be the only connection here, until the end of the block or of the process.

        Raises:
            TunnelError: there is another one.
            StateError: as root: the directory is not root's alone; or the lock is a link.
        """
        ownership.make(self.directory)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.directory / f"{self._name}.lock", 0))
            except HeldError as error:
                process = (ask(self, "status") or {}).get("pid", "")
                which = f" (process {process})" if process else ""
                raise TunnelError(
                    f"this Session is connected already by `octelium connect` on this host{which}",
                    "end that one first: octelium disconnect; or use a Session of its own: "
                    "--homedir",
                ) from error
            yield


@contextlib.asynccontextmanager
async def serving(
    place: Place, status: Callable[[], Awaitable[dict[str, Any]]], end: Callable[[], None]
) -> Any:
    """Answer other commands: what there is to tell, and `end` when that is asked for.

    Raises:
        OSError: the socket cannot be made.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                asked = json.loads(await reader.readline())
                wanted = asked.get("do") if isinstance(asked, dict) else None
                if wanted == "end":
                    end()
                writer.write(json.dumps(await status()).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # whoever asks nonsense, or is gone, gets no answer
        finally:
            writer.close()

    bound = _bound(place)
    server = await asyncio.start_unix_server(answer, sock=bound, limit=4096)
    try:
        yield
    finally:
        place.socket.unlink(missing_ok=True)
        server.close()


def ask(place: Place, what: str) -> dict[str, Any] | None:
    """What the connection here says; None if there is none."""
    directory = None
    try:
        directory = os.open(place.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(_SECONDS)
            asking.connect(f"/proc/self/fd/{directory}/{place.socket.name}")
            asking.sendall(json.dumps({"do": what}).encode() + b"\n")
            with asking.makefile("rb") as answers:
                found = json.loads(answers.readline(_LONGEST))
    except _GONE:
        return None
    except (OSError, ValueError):
        return {}  # it ends just now
    finally:
        if directory is not None:
            os.close(directory)
    return found if isinstance(found, dict) else {}


def _bound(place: Place) -> socket.socket:
    """The socket, by way of the directory's descriptor: a path may be longer than unix(7) has."""
    directory = os.open(place.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        place.socket.unlink(missing_ok=True)  # of one that was killed: we have the lock
        made.bind(f"/proc/self/fd/{directory}/{place.socket.name}")
        made.listen(8)
    except BaseException:
        made.close()
        raise
    finally:
        os.umask(before)
        os.close(directory)
    return made
