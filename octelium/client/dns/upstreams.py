"""Name servers that are asked: within the tunnel, or those that this host had before."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Any, Final, Literal

import dns.rcode

from octelium.client.dns.messages import TCP_SIZE, MessageError, read_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from octelium.client.dns.messages import Query

    Kind = Literal["tcp", "udp"]
    Dial = Callable[[Kind, int], Awaitable[socket.socket]]
    Server = tuple[str, int]

PATIENCE: Final = 2.0
"""Seconds for one server."""
_ALL: Final = 5.0
"""Seconds for all of them: programs ask again after that."""
_MOST_JUNK: Final = 32
"""Datagrams that are no answer, after which a server is given up: somebody is guessing."""
_NEXT: Final = {dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP}


class UpstreamError(Exception):
    """No server gave an answer; the text says why."""


async def dial_here(kind: Kind, family: int) -> socket.socket:
    """An unconnected socket of this host's own network."""
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    return socket.socket(family, kinds[kind] | socket.SOCK_NONBLOCK)


async def ask(servers: Sequence[Server], query: Query, dial: Dial) -> bytes:
    """An answer, of one server after the other; a cut one is asked for again by TCP.

    Args:
        servers: addresses and ports.
        query: what is asked.
        dial: gives an unconnected socket.

    Raises:
        UpstreamError: there is none within 5 s.
    """
    why = "there is no name server"
    last: bytes | None = None
    try:
        async with asyncio.timeout(_ALL):
            for server in servers:
                try:
                    async with asyncio.timeout(PATIENCE):
                        code, wire = await _one(server, query, dial)
                except TimeoutError:
                    why = f"{server[0]} does not answer"
                except (MessageError, OSError) as error:
                    why = f"{server[0]}: {error}"
                else:
                    if code not in _NEXT:
                        return wire
                    last = wire
    except TimeoutError:
        why = "the name servers do not answer"
    if last is not None:
        return last
    raise UpstreamError(why)


async def _one(server: Server, query: Query, dial: Dial) -> tuple[dns.rcode.Rcode, bytes]:
    code, is_cut, wire = await _datagram(server, query, dial)
    if is_cut:
        return await _stream(server, query, dial)
    return code, wire


async def _connected(server: Server, kind: Kind, dial: Dial) -> socket.socket:
    """A socket that hears this server alone."""
    host, _, scope = server[0].partition("%")
    address: tuple[Any, ...] = (host, server[1])
    family = socket.AF_INET
    if ipaddress.ip_address(host).version == 6:
        family = socket.AF_INET6
        address = (*address, 0, socket.if_nametoindex(scope) if scope else 0)
    made = await dial(kind, family)
    try:
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


async def _datagram(
    server: Server, query: Query, dial: Dial
) -> tuple[dns.rcode.Rcode, bool, bytes]:
    """Ask from a socket of its own: port and id are both to be guessed (RFC 5452)."""
    number, message = query.onward()
    loop = asyncio.get_running_loop()
    with await _connected(server, "udp", dial) as made:
        await loop.sock_sendall(made, message)
        for _ in range(_MOST_JUNK):
            wire = await loop.sock_recv(made, TCP_SIZE)
            try:
                return (*read_answer(wire, number, query), wire)
            except MessageError:
                continue
    raise MessageError("it answers other questions than it was asked")


async def _stream(server: Server, query: Query, dial: Dial) -> tuple[dns.rcode.Rcode, bytes]:
    number, message = query.onward()
    made = await _connected(server, "tcp", dial)
    reader, writer = await asyncio.open_connection(sock=made)
    try:
        writer.write(len(message).to_bytes(2, "big") + message)
        size = int.from_bytes(await reader.readexactly(2), "big")
        wire = await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise MessageError("it ended the stream") from error
    finally:
        writer.transport.abort()
    code, is_cut = read_answer(wire, number, query)
    if is_cut:
        raise MessageError("an answer that is cut off in a stream")
    return code, wire
