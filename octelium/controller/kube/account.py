"""Where the API server is, and as whom the controller speaks to it.

Kubernetes, "Accessing the Kubernetes API from a Pod": the address is in the environment, the token
and the certificate authority are files, and the token's is replaced from time to time.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from octelium.http.client_handshakes import watch_handshake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from httpx import AsyncClient

MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a Pod's containers find their token."""


@dataclass(frozen=True, slots=True)
class Account:
    """An API server and who asks it.

    `server` is its URL. `ca` is a file with the certificates that it is checked against; without
    it those of the system count. `token` is a file, read for each call.
    """

    server: str
    ca: Path | None = None
    token: Path | None = None

    @classmethod
    def mounted(cls, directory: Path = MOUNTED, environ: Mapping[str, str] = os.environ) -> Account:
        """The account that Kubernetes gives to this Pod.

        Raises ValueError, with what is missing, outside a Pod or without a token.
        """
        host = environ.get("KUBERNETES_SERVICE_HOST", "")
        port = environ.get("KUBERNETES_SERVICE_PORT", "")
        if not host or not port:
            raise ValueError(
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: "
                "the controller runs within a Pod of Kubernetes, as docs/k3s.md installs it; "
                "elsewhere `octelium up` runs without it (--controller off)"
            )
        for name in ("token", "ca.crt"):
            if not (directory / name).is_file():
                raise ValueError(
                    f"{directory / name} is missing: mount a token of the service account there"
                )
        where = f"[{host}]" if ":" in host else host
        return cls(f"https://{where}:{port}", directory / "ca.crt", directory / "token")

    def authority(self) -> bytes:
        """The present certificates of the authority; empty if there is no such file."""
        try:
            return b"" if self.ca is None else self.ca.read_bytes()
        except FileNotFoundError:
            return b""

    def connect(self, timeout: float) -> AsyncClient:
        """A client for this account; `timeout` in seconds, for each step of a call.

        Proxies of the environment are not asked: what the token can do is nobody else's to see.
        A call raises `BusyError` if there is no token to send.

        Raises OSError if the certificates of the authority cannot be read.
        """
        # Only who calls is to pay for the library.
        import httpx

        from octelium.controller.kube.credentials import TokenFile

        context = ssl.create_default_context(cafile=self.ca)
        # Some Clusters' authorities lack extensions that OpenSSL's strict mode wants, as Python
        # 3.13 and later do. The one that is in the file is trusted as it is.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return httpx.AsyncClient(
            base_url=self.server,
            auth=None if self.token is None else TokenFile(self.token),
            headers={"User-Agent": "octelium-controller"},
            verify=context,
            timeout=timeout,
            trust_env=False,
            event_hooks={"request": [watch_handshake]},
        )
