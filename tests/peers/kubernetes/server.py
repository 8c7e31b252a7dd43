"""The emulated API server: a `Cluster` behind HTTPS on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import uvicorn

from tests.peers.kubernetes import certificates
from tests.peers.kubernetes.access import ADMINISTRATORS
from tests.peers.kubernetes.account import Account
from tests.peers.kubernetes.application import Application
from tests.peers.kubernetes.cluster import Cluster
from tests.peers.kubernetes.kubeconfig import kubeconfig

if TYPE_CHECKING:
    from types import TracebackType


class KubernetesApi(Cluster):
    """A server that runs between `with` and its end; see the package for what it can do."""

    def __init__(self, *, history: int = 1000, controllers: bool = True) -> None:
        super().__init__(history=history, controllers=controllers)
        self._folder = tempfile.TemporaryDirectory(prefix="kubernetes-")
        self.folder = Path(self._folder.name)
        certificates.write(self.folder)
        # Bound but not listening: the port stays ours, and refuses, while the server is down.
        self._place = _bound(0)
        self.port: int = self._place.getsockname()[1]
        self.admin_token = self.access.issue("admin", ADMINISTRATORS)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """The file of its authority."""
        return self.folder / "ca.crt"

    def kubeconfig(self, token: str = "", namespace: str = "default") -> Path:
        """A new kubeconfig file, for the administrator unless a token is given."""
        return kubeconfig(self.folder, self.url, self.ca, token or self.admin_token, namespace)

    def account(self, namespace: str, name: str) -> Account:
        """A folder like the one that a Pod with a service account has, with its environment."""
        return Account(self.access, self.folder, self.ca, self.port, namespace, name)

    def start(self) -> None:
        """Listen. Again after `stop`: on the same port, with the same objects."""
        if self._thread is not None:
            raise RuntimeError("it runs already")
        listening = _bound(self.port)
        listening.listen(128)
        config = uvicorn.Config(
            Application(self),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            ssl_certfile=self.folder / "tls.crt",
            ssl_keyfile=self.folder / "tls.key",
            # As long as the real one: a client that comes back to a connection finds it open.
            timeout_keep_alive=180,
        )
        server = uvicorn.Server(config)
        ready = threading.Event()
        self._server = server
        self._thread = threading.Thread(
            target=_run, args=(server, listening, ready), name="kubernetes", daemon=True
        )
        self._thread.start()
        if not ready.wait(60):
            raise TimeoutError("the emulated API server does not start")

    def stop(self) -> None:
        """Refuse connections from now on; those that are open break."""
        if self._server is None or self._thread is None:
            return
        self.cut_watches()
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._place.close()
        self._folder.cleanup()
        self.close()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted sockets inherit it; the loop sets it only where the protocol is named.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind(("127.0.0.1", port))
    return made


def _run(server: uvicorn.Server, listening: socket.socket, ready: threading.Event) -> None:
    async def serve() -> None:
        ready.set()
        await server.serve(sockets=[listening])
        for connection in list(server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)

    asyncio.run(serve())
    listening.close()
