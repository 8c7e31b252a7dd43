"""What a browser on a connected computer must not be made to do by a page of somebody else.

Through a tunnel nobody shows a token, so a request that a foreign page causes is as good as the
user's own. Therefore a Service answers

- under its own names and addresses alone, with 421 under others (see `own_names`);
- requests that may change something, preflights (Fetch standard, section 4.8) that ask for leave
  to, and handshakes of WebSockets, which may be read across origins, from its own pages, from no
  page at all, and from the origins that its CORS settings name; with 403 from others. `Origin` (RFC
  6454, section 7) tells them in every browser, `Sec-Fetch-Site` (W3C Fetch Metadata, section 2.4)
  also where that is missing;
- other requests of foreign pages, since links to a Service are meant to work. What comes back they
  cannot read: an upstream's own CORS fields are dropped where the Service has no CORS settings, and
  `Cross-Origin-Resource-Policy: same-site` (Fetch standard, section 3.7) keeps images and scripts
  from pages of other sites, unless the upstream sets that field itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.http.message import Field, FieldBlock
from octelium.vigil.foreign_pages import OWN_SITES, SITE, may_act
from octelium.vigil.refusals import Answer, own_fields

if TYPE_CHECKING:
    from octelium.http.message import RequestHead
    from octelium.vigil.cors import Cors
    from octelium.vigil.own_names import OwnNames

_ELSEWHERE: Final = (
    b"This address belongs to a Service that has other names. Call it by one of its own names in "
    b"the private network, or by its address.\n"
)
_FOREIGN: Final = (
    b"A page of another origin caused this request, and the Service does not allow that. "
    b"Its cors settings can name the origin.\n"
)


class Misuse(NamedTuple):
    """Why and how a request is refused."""

    status: int
    body: bytes
    problem: str
    """For the access log."""

    def answer(self, *extra: Field) -> Answer:
        """The response, with further fields."""
        fields = [
            *own_fields(front=False),
            *extra,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", b"%d" % len(self.body)),
        ]
        return Answer(self.status, FieldBlock(fields), self.body)


_MISDIRECTED: Final = Misuse(421, _ELSEWHERE, "called by a name that is not the Service's own")
_CAUSED: Final = Misuse(403, _FOREIGN, "caused by a page of an origin that has no right to")


class TunnelGuard:
    """The rules of one Service."""

    __slots__ = ("_cors", "_names")

    def __init__(self, names: OwnNames, cors: Cors) -> None:
        self._names = names
        self._cors = cors

    def misuse(self, head: RequestHead) -> Misuse | None:
        """What is wrong with a request that nobody is to decide on; None for others."""
        if not self._names.has(head.authority):
            return _MISDIRECTED
        if (may_act(head) or _asks(head)) and self._is_foreign(head):
            return _CAUSED
        return None

    def _is_foreign(self, head: RequestHead) -> bool:
        """Whether a page of an origin caused the request that has no right to."""
        allowed = self._cors.judge(head)
        if allowed is False:
            return True
        if allowed and self._cors.configured and self._cors.is_foreign(head):
            return False  # named by the settings, whatever site that is
        sites = head.block.all(SITE)
        return any(site not in OWN_SITES for site in sites)


def _asks(head: RequestHead) -> bool:
    """Whether it is a preflight, of whatever origin."""
    asks = head.block.first(b"access-control-request-method")
    return head.method == b"OPTIONS" and asks is not None
