"""When the access token in a browser's cookie counts.

A cookie comes along whoever made the browser send the request, and pages of other Services are of
the same site, so that `SameSite` (RFC 6265bis, section 5.7.3) does not hold it back. Therefore

- at the Cluster's API it counts for pages of the login host and of the Portal alone, as `Origin`
  says;
- elsewhere requests that may change something, and handshakes of WebSockets, count for pages of the
  Service itself, for what a person has opened from outside, and for origins that the Service's CORS
  settings let in with credentials. Without `Origin` and `Sec-Fetch-Site`, which every browser of
  today sends, the page that `Referer` names has to be the Service's own. `Origin: null` counts only
  if the browser says that the page is of the same origin: one with `Referrer-Policy: no-referrer`
  sends that. A Service may do without this: `spec.attrs.octelium.crossOrigin`;
- of several cookies with different tokens none counts: a page of another Service may have planted
  one. The answer ends those that are not the Cluster's own.

Tokens in header fields are free of this: no page can put them there for somebody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.http.planted_cookies import expiries
from octelium.vigil.cors import is_own, origin_in, origin_of
from octelium.vigil.credentials import ACCESS_COOKIE, REFRESH_COOKIE
from octelium.vigil.foreign_pages import OWN_SITES, SITE, may_act

if TYPE_CHECKING:
    from collections.abc import Collection

    from octelium.http.message import Field, RequestHead
    from octelium.vigil.cors import Cors
    from octelium.vigil.credentials import Credential

_NULL: Final = b"null"
_SAME: Final = [b"same-origin"]


class Doubt(NamedTuple):
    """Why a cookie does not count: a line for the log, and the answer if that is an own one."""

    problem: str
    status: int = 0
    """401 or 403; 0 for the answer that those get who have no cookie at all."""
    text: bytes = b""


PLANTED: Final = Doubt("the request has several octelium_auth cookies that differ")
FOREIGN: Final = Doubt(
    "the octelium_auth cookie does not count: no page of the Service caused the request",
    403,
    b"The browser is signed in, but no page of this Service caused the request. The cors settings "
    b"of the Service can name the origin, with credentials; programs send their token in "
    b"X-Octelium-Auth.",
)
FOREIGN_API: Final = Doubt(
    "the octelium_auth cookie does not count: neither the login page nor the Portal caused the "
    "request",
    401,
    b"Octelium: a cookie counts here only with the Origin of the login page or the Portal; "
    b"programs send their token in x-octelium-auth",
)


class CookieGuard:
    """The rules of one Service.

    With `pages`, those origins alone; `cross_origin` lets in every page.
    """

    __slots__ = ("_cors", "_cross_origin", "_pages")

    def __init__(
        self, cors: Cors, pages: Collection[str] | None = None, *, cross_origin: bool = False
    ) -> None:
        self._cors = cors
        self._pages = None if pages is None else frozenset(page.encode() for page in pages)
        self._cross_origin = cross_origin

    def doubt(self, head: RequestHead, credential: Credential) -> Doubt | None:
        """Why the cookie of a request does not count; None if it does."""
        if credential.planted:
            return PLANTED
        if self._pages is None and (self._cross_origin or not may_act(head)):
            return None
        # What follows from the header section and the host is worked out once for all requests
        # of the same section.
        derived = head.block.derived
        known: tuple[bytes, bool] | None = derived.get(self)
        if known is None or known[0] != head.host:
            known = (head.host, self._counts(head))
            head.block.remember(self, known)
        if known[1]:
            return None
        return FOREIGN if self._pages is None else FOREIGN_API

    def _counts(self, head: RequestHead) -> bool:
        block = head.block
        origin = origin_of(block)
        if self._pages is not None:
            return origin in self._pages
        sites = block.all(SITE)
        if origin is not None:
            if self._cors.trusts(head):
                return True
            return _is_here(origin, head) and all(site in OWN_SITES for site in sites)
        if origins := block.all(b"origin"):
            return origins == [_NULL] and sites == _SAME
        if sites:
            return len(sites) == 1 and sites[0] in OWN_SITES
        page = origin_in(block.first(b"referer") or b"")
        return page is not None and _is_here(page, head)


def _is_here(origin: bytes, head: RequestHead) -> bool:
    """Whether an origin is the Service as the request calls it, over TLS."""
    return origin.startswith(b"https:") and is_own(origin, head)


def endings(head: RequestHead, domain: str) -> list[Field]:
    """Fields that end what a page may have planted, wherever it comes along with a request."""
    names = (ACCESS_COOKIE, REFRESH_COOKIE)
    values = expiries(names, head.target, head.authority, domain.encode())
    return [(b"set-cookie", value) for value in values]
