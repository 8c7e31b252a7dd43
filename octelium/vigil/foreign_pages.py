"""Requests that a page of some other origin may have caused, as browsers tell.

`Origin` (RFC 6454, section 7) comes with every request that may change something, and with every
handshake of a WebSocket; `Sec-Fetch-Site` (W3C Fetch Metadata, section 2.4) with all requests of
browsers of today. Pages can touch neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from octelium.http.message import RequestHead

SITE: Final = b"sec-fetch-site"
OWN_SITES: Final = frozenset({b"same-origin", b"none"})
"""Of pages of the Service itself, and of what a person has typed or opened from outside."""
_SAFE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1); TRACE is refused anyway."""
_WEBSOCKET: Final = b"sec-websocket-key"


def may_act(head: RequestHead) -> bool:
    """Whether a request may change something, or begin a conversation.

    The latter may be read across origins; links to pages are meant to work.
    """
    return head.method not in _SAFE or head.upgrade is not None or _WEBSOCKET in head.block.index
