"""Where a browser goes once it is signed in: a page of the Cluster, or a command line that waits.

What a login begins with names the target, and anybody can send anybody a link to a login page. So
a page counts only if it is on a host of this Cluster (RFC 9700 section 4.11), and a command line
gets its answer on the loopback interface alone (RFC 8252 section 7.3), usable only with a secret
that never left it (RFC 7636).
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlencode

from google.protobuf.message import DecodeError

from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from octelium.authserver.site import Site

CLIENT: Final = "octelium_req"
REDIRECT: Final = "redirect"
MAX_REDIRECT: Final = 1500
MAX_CLIENT: Final = 512
_MAX_QUERY: Final = 16 << 10
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_URL: Final = re.compile(
    rf"https://(?P<host>{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[1-9][0-9]{{0,4}}))?"
    r"(?:[/?#][!#-;=?-\[\]-~]*)?"
)
"""Printable ASCII, but for a blank, `"`, `<`, `>`, and `\\`, which some take for `/`."""
_SUFFIX: Final = re.compile(r"[A-Za-z0-9]{4,8}")
_VERSIONS: Final = auth.ClientLoginRequestApiVersion__
_CALLBACKS: Final = auth.ClientLoginRequestCallbackType__


class TargetError(ValueError):
    """A command line's request that cannot be served; the text says why."""


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """A command line that waits for an authentication token on this port of loopback."""

    port: int
    suffix: str
    code_challenge: bytes
    """SHA-256 of the verifier that only the command line has."""

    @property
    def text(self) -> str:
        """As it stands in the address of the login page."""
        request = auth.ClientLoginRequest(
            api_version=_VERSIONS.V1,
            callback_port=self.port,
            callback_suffix=self.suffix,
            code_challenge=self.code_challenge,
        )
        return _encoded(request.SerializeToString(deterministic=True))

    def answer(self, token: str) -> str:
        """The address by which a browser brings an authentication token to the command line."""
        response = auth.ClientLoginResponse(
            authentication_token=token, code_challenge=self.code_challenge
        )
        query = urlencode({"octelium_response": _encoded(response.SerializeToString())})
        return f"http://localhost:{self.port}/callback/success/{self.suffix}?{query}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go; the Portal if nothing is said."""

    redirect: str = ""
    """The address of a page of this Cluster."""
    client: ClientLogin | None = None

    @property
    def query(self) -> str:
        """The query that asks for this target; empty if there is none."""
        if self.client is not None:
            return urlencode({CLIENT: self.client.text})
        return urlencode({REDIRECT: self.redirect}) if self.redirect else ""


def target_of(site: Site, query: str) -> Target:
    """The target that a query names. A command line goes before a page; other pages are ignored.

    Raises:
        TargetError: it names a command line in a way that cannot be served.
    """
    fields = _fields(query) or {}
    wanted = fields.get(CLIENT)
    if wanted is not None:
        if len(wanted) != 1:
            raise TargetError("more than one command line is named")
        return Target(client=client_login(wanted[0]))
    pages = fields.get(REDIRECT, [])
    return Target(redirect=pages[0] if len(pages) == 1 and is_own_page(site, pages[0]) else "")


def asks_elsewhere(site: Site, query: str) -> bool:
    """Whether a query names a page that `target_of` ignores, since it is none of the Cluster's."""
    fields = _fields(query)
    if fields is None:
        return REDIRECT in query
    pages = fields.get(REDIRECT, [])
    return bool(pages) and not (len(pages) == 1 and is_own_page(site, pages[0]))


def is_own_page(site: Site, url: str) -> bool:
    """Whether `url` is the address of a page on a host of the Cluster, in its one spelling."""
    if len(url) > MAX_REDIRECT:
        return False
    match = _URL.fullmatch(url)
    if match is None or int(match["port"] or 443) != site.port:
        return False
    host: str = match["host"]
    return host == site.domain or host.endswith("." + site.domain)


def _fields(query: str) -> dict[str, list[str]] | None:
    """None for what cannot be read: it is too long, has too many fields, or is not UTF-8."""
    if len(query) > _MAX_QUERY:
        return None
    try:
        return parse_qs(query.removeprefix("?"), max_num_fields=16, errors="strict")
    except ValueError:
        return None


def client_login(text: str) -> ClientLogin:
    """Read a `ClientLoginRequest` in base64url without padding (RFC 4648 section 5).

    Raises:
        TargetError: it cannot be read, or asks for what is not served.
    """
    if not 0 < len(text) <= MAX_CLIENT or not text.isascii():
        raise TargetError(f"the request is not 1 to {MAX_CLIENT} ASCII characters")
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        request = auth.ClientLoginRequest.FromString(raw)
    except (binascii.Error, DecodeError) as error:
        raise TargetError("the request cannot be read") from error
    if _encoded(raw) != text:
        raise TargetError("the request cannot be read")
    if request.api_version not in (_VERSIONS.V1, _VERSIONS.V2):
        raise TargetError("the request has a version that this Cluster does not know")
    if request.callback_type != _CALLBACKS.LOOPBACK:
        raise TargetError("this Cluster answers only to ports of the same computer")
    if not 10_000 <= request.callback_port <= 65_535:
        raise TargetError("the port is not between 10000 and 65535")
    if _SUFFIX.fullmatch(request.callback_suffix) is None:
        raise TargetError("the end of the path is not 4 to 8 letters and digits")
    if len(request.code_challenge) != 32:
        raise TargetError("a code challenge of 32 bytes is missing: update the command line")
    return ClientLogin(request.callback_port, request.callback_suffix, request.code_challenge)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
