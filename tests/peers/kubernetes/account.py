"""What a Pod finds at /var/run/secrets/kubernetes.io/serviceaccount, with a token that rotates."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.peers.kubernetes.access import Access


class Account:
    """A folder with `token`, `ca.crt` and `namespace`, laid out with links as the kubelet does."""

    def __init__(
        self, access: Access, folder: Path, ca: Path, port: int, namespace: str, name: str
    ) -> None:
        self._access = access
        self._ca = ca
        self.namespace = namespace
        self.name = name
        self.user = f"system:serviceaccount:{namespace}:{name}"
        self.folder = folder / f"account-{secrets.token_hex(4)}"
        self.folder.mkdir()
        self.environment = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(port),
        }
        self.token = ""
        self.rotate()

    def rotate(self, *, revoke: bool = False) -> str:
        """Put a new token in place at once; with `revoke` the old one is worth nothing."""
        old = self.token
        self.token = self._access.issue_for_account(self.namespace, self.name)
        data = self.folder / f"..{secrets.token_hex(8)}"
        data.mkdir()
        (data / "token").write_text(self.token)
        (data / "ca.crt").write_bytes(self._ca.read_bytes())
        (data / "namespace").write_text(self.namespace)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(data.name)
        fresh.replace(self.folder / "..data")
        for name in ("token", "ca.crt", "namespace"):
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        if revoke and old:
            self._access.revoke(old)
        return self.token
