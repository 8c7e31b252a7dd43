"""Octelium's own credentials in a request: where they are found, and how they are kept inside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

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
_NONE: Final = object()


def find_token(block: HeaderBlock) -> bytes | None:
    """The access token of a request: the first non-empty of `X-Octelium-Auth`, the cookie
    `octelium_auth` and `Authorization: Bearer`. A wrong token in an earlier place is not skipped.

    Raises:
        MessageError: one of the two headers stands there more than once.
    """
    known = block.derived.get(_KEY)
    if known is not None:
        return None if known is _NONE else known
    token = _find(block)
    block.remember(_KEY, token if token is not None else _NONE)
    return token


def _find(block: HeaderBlock) -> bytes | None:
    if AUTH_HEADER in block.repeated or b"authorization" in block.repeated:
        raise MessageError("more than one credential in one place")
    if value := block.first(AUTH_HEADER):
        return value
    cookies = block.first(b"cookie")
    if cookies is not None:
        for match in _access_cookie(cookies):
            if cookie := match[1].rstrip(b" \t"):
                return cookie
    authorization = block.first(b"authorization")
    if authorization is not None and authorization.startswith(b"Bearer "):
        return authorization[7:].strip(b" \t") or None
    return None


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
