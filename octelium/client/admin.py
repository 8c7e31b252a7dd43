"""What only the Cluster's own machine may ask: HTTP over a Unix socket in the data directory."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path

from octelium.client.errors import ClientError

SOCKET = "run/admin.sock"
_TIMEOUT = 10.0


class AdminError(ClientError):
    """A request that the running Cluster refused, or that did not reach it."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(str(self._path))


def install_certificate(data_dir: str, namespace: str, certificate: str, key: str) -> None:
    """Have the Cluster whose data directory is given use another certificate.

    `certificate` and `key` are PEM texts. Raises AdminError.
    """
    path = Path(data_dir).expanduser() / SOCKET
    body = json.dumps({"namespace": namespace, "certificate": certificate, "key": key})
    connection = _UnixConnection(path)
    try:
        connection.request("PUT", "/certificate", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read(1 << 20)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise AdminError(
            f"no Cluster runs in {data_dir}", "start it with `octelium up`, or correct --data-dir"
        ) from error
    except PermissionError as error:
        raise AdminError(
            f"{path} belongs to another user", "run this as the user that runs the Cluster"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise AdminError(f"the Cluster did not answer on {path}: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise AdminError(f"the Cluster refused the certificate: {_reason(content)}")


def _reason(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace") or "no reason given"
