"""A real kube-apiserver with etcd on loopback, of the binaries that the environment names."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.peers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKENS = {"admin": "admin-of-the-test", "alice": "alice-of-the-test", "nobody": "wrong"}


def binaries() -> tuple[str, str] | None:
    """KUBE_APISERVER and ETCD, or None if one is not set."""
    server, store = os.environ.get("KUBE_APISERVER", ""), os.environ.get("ETCD", "")
    return (server, store) if server and store else None


@contextmanager
def real_api(folder: Path, server: str, store: str) -> Iterator[tuple[str, Path]]:
    """Its address and the file of its authority; rights by RBAC, tokens as in `TOKENS`."""
    _keys(folder)
    (folder / "tokens").write_text(
        f"{TOKENS['admin']},admin,admin,system:masters\n{TOKENS['alice']},alice,alice,devs\n"
    )
    clients, peers, port = free_port(), free_port(), free_port()
    keep = f"http://127.0.0.1:{clients}"
    join = f"http://127.0.0.1:{peers}"
    with (folder / "etcd.log").open("wb") as log:
        etcd = subprocess.Popen(
            [
                store,
                *("--data-dir", str(folder / "etcd")),
                *("--listen-client-urls", keep, "--advertise-client-urls", keep),
                *("--listen-peer-urls", join, "--initial-advertise-peer-urls", join),
                *("--initial-cluster", f"default={join}"),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        with (folder / "apiserver.log").open("wb") as log:
            running = subprocess.Popen(
                [
                    server,
                    f"--etcd-servers={keep}",
                    "--bind-address=127.0.0.1",
                    "--advertise-address=127.0.0.1",
                    f"--secure-port={port}",
                    f"--cert-dir={folder}",
                    "--service-cluster-ip-range=10.96.0.0/16",
                    "--service-account-issuer=https://kubernetes.default.svc",
                    f"--service-account-key-file={folder / 'account.pub'}",
                    f"--service-account-signing-key-file={folder / 'account.key'}",
                    "--authorization-mode=RBAC",
                    f"--token-auth-file={folder / 'tokens'}",
                    "--endpoint-reconciler-type=none",
                    "--disable-admission-plugins=ServiceAccount",
                    "--allow-privileged=true",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            url = f"https://127.0.0.1:{port}"
            _wait(url, folder, running)
            yield url, folder / "apiserver.crt"
        finally:
            running.terminate()
            running.wait()
    finally:
        etcd.terminate()
        etcd.wait()


def _keys(folder: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "account.key").write_bytes(private)
    (folder / "account.pub").write_bytes(public)


def _wait(url: str, folder: Path, running: subprocess.Popen[bytes]) -> None:
    """Until it is ready and has made its own objects. Raises RuntimeError if it ends."""
    headers = {"Authorization": f"Bearer {TOKENS['admin']}"}
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if running.poll() is not None:
            break
        try:
            got = httpx.get(f"{url}/readyz", headers=headers, verify=False, trust_env=False)
        except httpx.TransportError:
            got = None
        if got is not None and got.status_code == 200:
            return
        time.sleep(0.2)
    raise RuntimeError((folder / "apiserver.log").read_text()[-2000:])
