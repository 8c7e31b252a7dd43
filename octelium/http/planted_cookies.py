"""How a browser gets rid of cookies that a page of another host has planted.

A page may set cookies for every domain that its host is below, and for any path (RFC 6265, section
5.3). One beside a genuine cookie of the same name comes along with it, and the order of the two
says little (section 5.4). A server is told names and values alone. So it ends the cookies of a name
at every place from which they come with a request: each domain from the host up, each prefix of the
path, with a partition (https://www.ietf.org/archive/id/draft-cutler-httpbis-partitioned-cookies-01)
and without. The one place at which the Cluster itself keeps cookies stays as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_SEGMENTS: Final = 16
"""Of a path; what is planted for longer prefixes stays."""
MOST_BYTES: Final = 24 << 10
"""Of all fields together; browsers limit the header of a response."""
_LONGEST_PATH: Final = 1024
"""Browsers take no longer one (RFC 6265bis, section 5.6)."""
_is_host = re.compile(rb"[a-z0-9.-]{1,253}").fullmatch
_is_path = re.compile(rb"/[\x21-\x3a\x3c-\x7e]*").fullmatch
"""Without a semicolon, which ends the attribute."""


def expiries(names: Iterable[bytes], path: bytes, host: bytes, domain: bytes) -> list[bytes]:
    """Values of `Set-Cookie` that end the cookies `names` wherever a page may have planted them.

    `path` is that of the request as the browser wrote it, `host` its host without a port. Cookies
    for `domain` and the path `/`, without a partition, are genuine. Shorter prefixes come first.
    """
    found: list[bytes] = []
    size = 0
    domains = list(_domains(host.lower(), domain))
    for prefix in _prefixes(path.partition(b"?")[0]):
        for place in domains:
            for partition in (b"; Partitioned", b""):
                if prefix == b"/" and place == domain and not partition:
                    continue
                where = b"; Domain=" + place if place else b""
                rest = b"=; Max-Age=0; Path=" + prefix + where + b"; Secure" + partition
                for name in names:
                    size += len(name) + len(rest)
                    if size > MOST_BYTES:
                        return found
                    found.append(name + rest)
    return found


def _domains(host: bytes, domain: bytes) -> Iterator[bytes]:
    """The domain, those between it and the host, the host; last, empty, the host alone."""
    if _is_host(host) and host.endswith(b"." + domain):
        labels = host.removesuffix(b"." + domain).split(b".")
        yield domain
        for first in range(len(labels) - 1, -1, -1):
            yield b".".join([*labels[first:], domain])
    elif host == domain:
        yield domain
    yield b""


def _prefixes(path: bytes) -> Iterator[bytes]:
    """Paths that match a request's (RFC 6265, section 5.1.4), from `/` on."""
    yield b"/"
    prefix = b""
    for number, segment in enumerate(path.split(b"/")[1:], 1):
        if number > 1:
            yield prefix + b"/"
        prefix += b"/" + segment
        if number > MOST_SEGMENTS or len(prefix) >= _LONGEST_PATH or not _is_path(prefix):
            return
        if prefix != b"/":
            yield prefix
