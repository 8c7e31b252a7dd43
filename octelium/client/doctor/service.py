"""A Service as this host reaches it: a connection, and a request with its answer."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from typing import TYPE_CHECKING, Final

from octelium.client.doctor.checks import Broken
from octelium.schema.modes import SERVED_MODES, mode_name
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from octelium.client.settings import Target

SECONDS: Final = 8.0
_TYPES: Final = user.ServiceSpecType__
HTTP: Final = frozenset({_TYPES.HTTP, _TYPES.WEB, _TYPES.GRPC, _TYPES.KUBERNETES, _TYPES.MCP})
DATAGRAMS: Final = frozenset({_TYPES.UDP, _TYPES.DNS})
_HELLO: Final = 0.7
"""Seconds in which a connection that is refused has ended."""
_LARGEST_BODY: Final = 1 << 20
_OWN: Final = "x-octelium-request-id"
"""A field that only the Cluster's own answers have."""
_ADMINISTRATOR: Final = "ask who administers the Cluster: octeliumctl doctor"


def unserved(mode: int) -> str:
    """What is to be said of a Service's mode; "" for one that Clusters of this version serve.

    Nobody listens at the address of such a Service, whatever its upstream does.
    """
    if mode in SERVED_MODES:
        return ""
    named = sorted(mode_name(each) for each in SERVED_MODES)
    served = f"{', '.join(named[:-1])} and {named[-1]}"
    return (
        f"of mode {mode_name(mode)}, which Clusters of this version keep but do not serve (served "
        f"are {served})"
    )


def connect(name: str, addresses: list[str], port: int, *, seconds: float = SECONDS) -> str:
    """The first address that takes a connection.

    Raises:
        Broken: none does.
    """
    said: list[str] = []
    for address in addresses:
        try:
            with socket.create_connection((address, port), seconds):
                return address
        except OSError as error:
            said.append(f"{address} port {port}: {error.strerror or 'no answer'}")
    raise Broken(
        f"no connection to {name}: {'; '.join(said)}", f"{_ADMINISTRATOR} {name}, and its workers"
    )


def request(
    name: str,
    host: str,
    place: tuple[str, int],
    target: Target | None,
    *,
    is_public: bool = False,
    seconds: float = SECONDS,
) -> str:
    """Ask for `/` and read the answer; what came, and after how long.

    `host` is what the Service's clients call it. `target` tells whom to trust, for a Service whose
    own end speaks TLS; it is None for one in the clear. By its public name (`is_public`) a Service
    that asks for a login has answered.

    Raises:
        Broken: no answer, or one that is the Cluster's own refusal.
    """
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(socket.create_connection(place, seconds))
            if target is not None:
                stream = stack.enter_context(_secured(stream, target, host))
            sent = f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: octelium-doctor\r\n"
            stream.sendall(f"{sent}Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii"))
            answer = http.client.HTTPResponse(stream, method="GET")
            stack.callback(answer.close)
            answer.begin()
            if len(answer.read(_LARGEST_BODY)) < _LARGEST_BODY and answer.length:
                raise http.client.IncompleteRead(b"", answer.length)
    except TimeoutError as error:
        detail = f"{name} takes the request and does not answer it within {seconds:g} s"
        raise Broken(detail, f"{_ADMINISTRATOR} {name}") from error
    except ssl.SSLError as error:
        raise Broken(f"TLS with {name} fails: {error.reason or error}", _ADMINISTRATOR) from error
    except (OSError, http.client.HTTPException) as error:
        said = str(error) or type(error).__name__
        detail = f"{name} ends the connection without an answer: {said}"
        raise Broken(detail, f"{_ADMINISTRATOR} {name}") from error
    taken = f"{(time.monotonic() - began) * 1000:.0f} ms"
    entry = answer.getheader(_OWN)
    if entry is not None and is_public and answer.status == http.HTTPStatus.UNAUTHORIZED:
        return f"https://{host} answers in {taken}, and asks for a login"
    if entry is not None and answer.status >= 400:
        raise refusal(name, answer.status, entry)
    return f"GET / is answered with {answer.status} in {taken}"


def refusal(name: str, status: int, entry: str) -> Broken:
    """What an answer of the Cluster's own, in the Service's place, means."""
    if status in (401, 403):
        return Broken(
            f"the Policies refuse {name} to this Session ({status})",
            f"octeliumctl policy explain --log {entry} tells which one",
        )
    if status in (502, 503, 504):
        return Broken(
            f"the upstream of {name} does not answer ({status})",
            "start what the Service leads to, or ask whose it is; who administers the Cluster sees "
            f"more by octeliumctl doctor {name}",
        )
    told = f"the Cluster answers in the place of {name} with {status}"
    return Broken(told, f"ask who administers the Cluster: octeliumctl logs --id {entry}")


def talk(name: str, place: tuple[str, int], *, seconds: float = SECONDS) -> str:
    """Connect, and see whether the connection stays, as one that is let in does.

    Raises:
        Broken: it does not.
    """
    try:
        with socket.create_connection(place, seconds) as stream:
            stream.settimeout(_HELLO)
            try:
                data = stream.recv(4096)
            except TimeoutError:
                return "a connection is taken, and stays"
    except OSError as error:
        data, said = b"", f": {error.strerror or error}"
    else:
        said = ""
    if data:
        return "a connection is taken, and greeted"
    remedy = (
        "a Policy refuses it, or its upstream does not answer; who administers the Cluster sees "
        f"which: octeliumctl logs --service {name}, octeliumctl doctor {name}"
    )
    raise Broken(f"{name} ends connections at once{said}", remedy)


def _secured(plain: socket.socket, target: Target, host: str) -> ssl.SSLSocket:
    given = None if target.ca is None else target.ca.decode("ascii", "ignore")
    context = ssl.create_default_context(cadata=given)
    return context.wrap_socket(plain, server_hostname=host)
