"""Questions of DNS to one server, by UDP, as small or as large as they are wanted."""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING, Final

import dns.edns
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

if TYPE_CHECKING:
    from collections.abc import Callable

_PORT: Final = 53
_REFUSED_WITHIN: Final = 1.0
"""Seconds in which the own kernel says that nobody listens."""
_IP_MTU: Final = 14
_IPV6_MTU: Final = 24
_PADDING: Final = 12
_OPTION_HEAD: Final = 4
_LARGEST: Final = 65_535
HEADS: Final = {socket.AF_INET: 28, socket.AF_INET6: 48}
"""Bytes of IP and UDP around a message."""


def family_of(address: str) -> socket.AddressFamily:
    """Of an address literal."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def path_mtu(address: str) -> int:
    """The MTU of the device by which packets to an address leave (ip(7), ipv6(7)).

    Raises:
        OSError: there is no way there.
    """
    family = family_of(address)
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.connect((address, _PORT))
        if family == socket.AF_INET6:
            return made.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU)
        return made.getsockopt(socket.IPPROTO_IP, _IP_MTU)


def source_to(address: str) -> str:
    """The own address from which packets to another leave. Raises OSError."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as made:
        made.connect((address, _PORT))
        return str(made.getsockname()[0])


def question(name: str, kind: str, *, size: int = 0) -> dns.message.Message:
    """A question, padded to `size` bytes if that is more (RFC 7830)."""
    made = dns.message.make_query(name, kind)
    made.id = secrets.randbelow(1 << 16)
    if size:
        made.use_edns(0, 0, 1232, options=[_padding(0)])
        made.use_edns(
            0, 0, 1232, options=[_padding(max(0, size - len(made.to_wire(max_size=_LARGEST))))]
        )
    return made


def _padding(size: int) -> dns.edns.Option:
    return dns.edns.GenericOption(dns.edns.OptionType(_PADDING), bytes(size))


def ask(
    server: str,
    message: dns.message.Message,
    *,
    seconds: float,
    tries: int,
    port: int = _PORT,
    clock: Callable[[], float] = time.monotonic,
) -> dns.message.Message | None:
    """The answer of a server, None if it gives none; each try has its share of the time.

    Raises:
        OSError: the question cannot be sent.
    """
    with socket.socket(family_of(server), socket.SOCK_DGRAM) as made:
        made.connect((server, port))
        for _ in range(tries):
            made.send(message.to_wire(max_size=_LARGEST))
            end = clock() + seconds / tries
            while (left := end - clock()) > 0:
                made.settimeout(left)
                try:
                    answer = dns.message.from_wire(made.recv(_LARGEST))
                except ConnectionRefusedError:
                    return None
                except TimeoutError:
                    break
                except dns.exception.DNSException:
                    continue
                if message.is_response(answer):
                    return answer
    return None


def listens(server: str, *, port: int = _PORT) -> bool:
    """Whether somebody takes questions at an address of this host: none are refused there."""
    try:
        with socket.socket(family_of(server), socket.SOCK_DGRAM) as made:
            made.settimeout(_REFUSED_WITHIN)
            made.connect((server, port))
            made.send(question("localhost", "A").to_wire())
            made.recv(_LARGEST)
    except TimeoutError:
        return True
    except (OSError, ValueError):
        return False
    return True


def code_of(answer: dns.message.Message) -> str:
    """The name of an answer's code, such as `NOERROR`."""
    return dns.rcode.to_text(answer.rcode())


def addresses_in(answer: dns.message.Message) -> list[str]:
    """The addresses of an answer, of either family."""
    kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
    return [one.to_text() for each in answer.answer if each.rdtype in kinds for one in each]
