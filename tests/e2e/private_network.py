"""A Cluster on port 443 of a network of its own, where its names lead to it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN
from tests.http import certs
from tests.peers.namespaces import Namespace, network

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class PrivateNetwork:
    """One host, with the Cluster on it."""

    host: Namespace
    cluster: SourceCluster
    folder: Path

    @property
    def authorities(self) -> Path:
        """A file with the certificate authorities of the Cluster and of peers."""
        file = self.folder / "authorities.pem"
        file.write_bytes((self.cluster.data / "ca.pem").read_bytes() + certs.ca().chain)
        return file

    def environment(self, **more: str) -> dict[str, str]:
        """Of a program that knows nothing but the domain and whom to trust."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OCTELIUM", "PYTHON"))}
        known = {"OCTELIUM_DOMAIN": DOMAIN, "SSL_CERT_FILE": str(self.authorities)}
        return {**clean, **known, **more}


@contextmanager
def private_network(folder: Path, services: Sequence[str] = ()) -> Iterator[PrivateNetwork]:
    """A running Cluster, logged in to as the first administrator. `services` are names of
    Services.
    """
    trusted = folder / "peers.pem"
    trusted.write_bytes(certs.ca().chain)
    with network(folder) as made:
        host = made.namespace("host")
        hosts = [DOMAIN, *(f"{name}.{DOMAIN}" for name in ("octelium-api", "portal", *services))]
        host.resolve(dict.fromkeys(hosts, "127.0.0.1"))
        cluster = SourceCluster(
            folder / "cluster",
            workers=1,
            port=443,
            environment={"SSL_CERT_FILE": str(trusted)},
            within=host.enter,
        )
        try:
            cluster.start()
            cluster.login()
            yield PrivateNetwork(host, cluster, folder)
        finally:
            cluster.remove()
