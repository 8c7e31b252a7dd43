"""Where a request that changes something comes from, as the browser itself says.

A form on any page of the world can be sent here with the visitor's cookies. Browsers name the
origin of each POST (https://fetch.spec.whatwg.org/#origin-header), and how far it is from here
(https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header); pages cannot touch either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


def comes_from(request: Request, own: str) -> bool:
    """Whether a page of the origin `own` sent the request to itself.

    What says neither header is no browser of today.
    """
    origins = request.headers.getlist("origin")
    distances = request.headers.getlist("sec-fetch-site")
    if len(origins) > 1 or len(distances) > 1:
        return False
    if not origins:
        return distances == ["same-origin"]
    return origins[0] == own and distances in ([], ["same-origin"])
