"""What only the Cluster's own machine may ask: HTTP over a Unix socket in the data directory."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octelium.client.errors import ClientError

SOCKET = "run/admin.sock"
_TIMEOUT = 20.0


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


@dataclass(frozen=True, slots=True)
class NewToken:
    """An authentication token, and what a client needs besides to log in with it.

    `endpoint` is `HOST:PORT`; `ca` is PEM text, or the path of a file with it, for Clusters with
    an authority of their own. Both may be empty.
    """

    token: str
    domain: str
    endpoint: str
    ca: str


def install_certificate(
    data_dir: str, domain: str, namespace: str, certificate: str, key: str, *, force: bool
) -> None:
    """Have the Cluster whose data directory is given use another certificate.

    `certificate` and `key` are PEM texts; `force` has it installed even if it does not cover the
    names. Raises AdminError, also when the Cluster is not `domain`.
    """
    wanted = {
        "namespace": namespace,
        "certificate": certificate,
        "key": key,
        "domain": domain,
        "force": force,
    }
    _ask(data_dir, "PUT", "/certificate", wanted, "the certificate")


def use_own_certificate(data_dir: str, domain: str, namespace: str) -> None:
    """Have the Cluster go back to a certificate of its own authority. Raises AdminError."""
    wanted = {"namespace": namespace, "own": True, "domain": domain}
    _ask(data_dir, "PUT", "/certificate", wanted, "its own certificate")


def new_token(data_dir: str) -> NewToken:
    """Have the Cluster make a new token for its first administrator. Raises AdminError."""
    content = _ask(data_dir, "POST", "/token", {}, "a new token")
    try:
        reply = json.loads(content)
        fields = {name: reply[name] or "" for name in ("token", "domain", "endpoint", "ca")}
    except (ValueError, KeyError, TypeError) as error:
        raise AdminError("the Cluster answered without a token") from error
    if not all(isinstance(value, str) for value in fields.values()) or not fields["token"]:
        raise AdminError("the Cluster answered without a token")
    return NewToken(**fields)


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """A link by which a person signs in; `expires_at` in Unix seconds."""

    url: str
    expires_at: int
    user: str


def new_invitation(data_dir: str, user: str, *, administrator: bool = False) -> NewInvitation:
    """Have the Cluster invite a User; `administrator`: make the User, who may do everything.

    Raises AdminError.
    """
    wanted = {"user": user, "administrator": administrator}
    content = _ask(data_dir, "POST", "/invitation", wanted, "the invitation")
    try:
        reply = json.loads(content)
        made = NewInvitation(reply["url"], reply["expiresAt"], reply["user"])
    except (ValueError, KeyError, TypeError) as error:
        raise AdminError("the Cluster answered without an invitation") from error
    texts = isinstance(made.url, str) and isinstance(made.user, str)
    if not texts or not isinstance(made.expires_at, int) or not made.url.startswith("https://"):
        raise AdminError("the Cluster answered without an invitation")
    return made


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that went through the front door, and was answered with success."""

    url: str
    status: int
    milliseconds: int


def probe(data_dir: str, service: str = "") -> Probe:
    """Have the Cluster send a request through its own front door: for the page of a Service, or to
    the API if none is named.

    Raises AdminError, also when the request did not succeed.
    """
    content = _ask(data_dir, "POST", "/probe", {"service": service}, "the probe")
    try:
        reply = json.loads(content)
        made = Probe(reply["url"], reply["status"], reply["milliseconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise AdminError("the Cluster answered without a result") from error
    if (type(made.url), type(made.status), type(made.milliseconds)) != (str, int, int):
        raise AdminError("the Cluster answered without a result")
    return made


def _ask(data_dir: str, method: str, target: str, wanted: dict[str, Any], what: str) -> bytes:
    path = Path(data_dir).expanduser() / SOCKET
    connection = _UnixConnection(path)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, target, json.dumps(wanted), headers)
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
        raise AdminError(f"the Cluster refused {what}: {_reason(content)}")
    return content


def _reason(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace") or "no reason given"
