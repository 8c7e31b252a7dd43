"""Octelium's own credentials in a request: where they are found, and how they are kept inside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.http.message import MessageError

if TYPE_CHECKING:
    from octelium.http.message import HeaderBlock

AUTH_HEADER: Final = b"x-octelium-auth"
ACCESS_COOKIE: Final = b"octelium_auth"
REFRESH_COOKIE: Final = b"octelium_rt"
OWN_COOKIES: Final = frozenset({ACCESS_COOKIE, REFRESH_COOKIE})

_access_cookie = re.compile(rb"(?:\A|;)[ \t]*octelium_auth[ \t]*=[ \t]*([^;]*)").finditer
_own_bearer = re.compile(rb"(?i:bearer)[ \t]+A[Q-Za-f][A-Za-z0-9_-]{148,218}={0,2}").fullmatch
"""`octelium.identity.tokens` describes the shape; the first byte is the version, 1."""
_KEY: Final = object()


class Credential(NamedTuple):
    """The access token of a request, None if it has none that counts."""

    token: bytes | None
    from_cookie: bool = False
    planted: bool = False
    """Whether there are cookies with different tokens, of which none counts."""


_NOTHING: Final = Credential(None)
_PLANTED: Final = Credential(None, from_cookie=True, planted=True)


def find_credential(block: HeaderBlock) -> Credential:
    """The access token of a request: the first non-empty of `X-Octelium-Auth`, the cookie
    `octelium_auth` and `Authorization: Bearer`. A wrong token in an earlier place is not skipped.

    Raises:
        MessageError: one of the two headers stands there more than once.
    """
    known: Credential | None = block.derived.get(_KEY)
    if known is None:
        known = _find(block)
        block.remember(_KEY, known)
    return known


def _find(block: HeaderBlock) -> Credential:
    if AUTH_HEADER in block.repeated or b"authorization" in block.repeated:
        raise MessageError("more than one credential in one place")
    if value := block.first(AUTH_HEADER):
        return Credential(value)
    cookies = block.first(b"cookie")
    if cookies is not None:
        tokens = {token for match in _access_cookie(cookies) if (token := match[1].rstrip(b" \t"))}
        if tokens:
            return Credential(tokens.pop(), from_cookie=True) if len(tokens) == 1 else _PLANTED
    authorization = block.first(b"authorization")
    if authorization is not None and authorization.startswith(b"Bearer "):
        return Credential(authorization[7:].strip(b" \t") or None)
    return _NOTHING


def without_own_cookies(cookies: bytes) -> bytes:
    """A `Cookie` value without Octelium's; the others stay byte for byte. Empty if none is left."""
    if b"octelium_" not in cookies:
        return cookies
    kept = [
        part
        for part in cookies.split(b";")
        if part.partition(b"=")[0].strip(b' \t"') not in OWN_COOKIES
    ]
    return b";".join(kept).lstrip(b" \t")


def sets_own_cookie(value: bytes) -> bool:
    """Whether a `Set-Cookie` value would plant one of Octelium's cookies.

    A nameless one, `=octelium_auth=…`, comes back as `octelium_auth=…` (RFC 6265bis, section 5.7).
    """
    pair = value.partition(b";")[0].lstrip(b" \t=")
    return pair.partition(b"=")[0].rstrip(b" \t") in OWN_COOKIES


def is_own_authorization(value: bytes) -> bool:
    """Whether the value of an `Authorization` has the shape of one of Octelium's tokens."""
    return _own_bearer(value) is not None
