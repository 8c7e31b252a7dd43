"""Which header fields may pass between clients and upstreams.

Upstreams behind CGI-like interfaces fold names (`X_Octelium_Auth` arrives like
`X-Octelium-Auth`), so a field is judged by its folded name: lower-case, with everything but
letters and digits turned into hyphens.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final

from octelium.http.syntax import fold

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
"""RFC 9110, section 7.6.1, and what existing software treats alike."""

_NEVER: Final = HOP_BY_HOP | {
    b"host",
    b"expect",
    b"proxy",
    b"x-request-id",
    b"content-length",
    # Some upstreams believe these in place of the method, path, host and identity that were
    # decided on.
    b"x-http-method-override",
    b"x-http-method",
    b"x-method-override",
    b"x-original-url",
    b"x-original-uri",
    b"x-rewrite-url",
    b"x-host",
}
_NEVER_PREFIXES: Final = (b"remote-", b"x-remote-")
_FORWARDING: Final = frozenset(
    {
        b"forwarded",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"true-client-ip",
        b"cf-connecting-ip",
        b"fastly-client-ip",
    }
)
_FORWARDING_PREFIXES: Final = (b"x-forwarded-", b"x-envoy-", b"x-original-", b"x-rewrite-")

_NOT_IN_TRAILERS: Final = HOP_BY_HOP | {
    b"age",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"expect",
    b"expires",
    b"host",
    b"location",
    b"max-forwards",
    b"pragma",
    b"range",
    b"retry-after",
    b"set-cookie",
    b"strict-transport-security",
    b"vary",
    b"warning",
    b"www-authenticate",
}
"""What frames, routes, authenticates or controls a message (RFC 9110, section 6.5.1)."""


class Kind(Enum):
    """What a request field is to Vigil."""

    ORDINARY = "ordinary"
    NEVER = "never passed on"
    COOKIE = "cookies"
    AUTHORIZATION = "credentials of the client"
    OWN = "Octelium's own credentials, for its own Services only"
    FORWARDING = "claims about the client and the original request"


@lru_cache(maxsize=2048)
def classify(name: bytes) -> Kind:
    """The kind of a request field by its lower-case name."""
    folded = fold(name)
    if folded.startswith(b"x-octelium"):
        own = name in {b"x-octelium-auth", b"x-octelium-refresh-token"}
        return Kind.OWN if own else Kind.NEVER
    if name == b"content-length":
        return Kind.ORDINARY
    if folded in _NEVER or folded.startswith(_NEVER_PREFIXES):
        return Kind.NEVER
    if folded in _FORWARDING or folded.startswith(_FORWARDING_PREFIXES):
        return Kind.FORWARDING
    if folded == b"cookie":
        return Kind.COOKIE
    if folded == b"authorization":
        return Kind.AUTHORIZATION
    return Kind.ORDINARY


@lru_cache(maxsize=2048)
def may_trail(name: bytes) -> bool:
    """Whether a field may stand after a body; some recipients merge those with the head's."""
    return (
        classify(name) is Kind.ORDINARY
        and (folded := fold(name)) not in _NOT_IN_TRAILERS
        and not folded.startswith(b"if-")
    )
