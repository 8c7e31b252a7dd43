"""The cookies of a browser.

Those of its Session are for the Cluster's domain, because the Services that they open are hosts
below it; Octelium's pages describe their names. That of a login is for the login host alone: a page
of any Service could set one for the whole domain, and so have a browser end a login that somebody
else began. The prefix of its name makes browsers refuse that (RFC 6265bis section 4.1.3.2). All are
for encrypted connections only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from octelium.authserver.site import Site
    from octelium.identity.admission import IssuedTokens

ACCESS: Final = "octelium_auth"
REFRESH: Final = "octelium_rt"
LOGIN_STATE: Final = "__Host-octelium_login_state"
INVITATION: Final = "__Host-octelium_invitation"
_LOGIN_STATE_SECONDS: Final = 15 * 60
TOKENS: Final = (ACCESS, REFRESH)


def cookie(request: Request, name: str) -> str:
    """What the browser sent; empty if it sent none, or several of this name.

    A page of a Service can set a second one, for a narrower path, and the order in which a browser
    sends them says little (RFC 6265 section 5.4).
    """
    found = _values(request.headers.getlist("cookie"), name)
    return found[0] if len(found) == 1 else ""


def several(lines: Iterable[str], name: str) -> bool:
    """Whether fields `Cookie` hold several cookies of a name."""
    return len(_values(lines, name)) > 1


def _values(lines: Iterable[str], name: str) -> list[str]:
    return [
        value.strip(" \t")
        for line in lines
        for given, mark, value in (part.partition("=") for part in line.split(";"))
        if mark and given.strip(" \t") == name
    ]


def set_tokens(site: Site, response: Response, issued: IssuedTokens) -> None:
    """Have the browser keep the tokens of a Session for as long as they are good."""
    _set(site, response, ACCESS, issued.access_token, issued.expires_in)
    _set(site, response, REFRESH, issued.refresh_token, issued.refresh_token_expires_in)
    _set(site, response, LOGIN_STATE, "", 0)


def set_login_state(site: Site, response: Response, state: str) -> None:
    """Bind a login to this browser."""
    _set(site, response, LOGIN_STATE, state, _LOGIN_STATE_SECONDS)


def set_invitation(response: Response, browser: str) -> None:
    """Bind the page of an invitation to this browser, until it is closed."""
    response.set_cookie(INVITATION, browser, secure=True, httponly=True, samesite="strict")


def clear_cookies(site: Site, response: Response) -> None:
    """Have the browser forget the Session that it may have had.

    A login that has begun goes on: it may be another tab's.
    """
    for name in TOKENS:
        _set(site, response, name, "", 0)


def clear_login_state(site: Site, response: Response) -> None:
    """Have the browser forget a login that has ended."""
    _set(site, response, LOGIN_STATE, "", 0)


def has_ended(request: Request) -> bool:
    """Whether a browser that has no Session believes to have one.

    With several cookies of a name it may have one yet: the genuine one stays.
    """
    lines = request.headers.getlist("cookie")
    return any(name in request.cookies for name in TOKENS) and not any(
        several(lines, name) for name in TOKENS
    )


def _set(site: Site, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        domain=None if name == LOGIN_STATE else site.domain,
        secure=True,
        httponly=True,
        # SAML answers are forms that the provider's page posts here: Lax cookies stay behind.
        samesite="none" if name == LOGIN_STATE else "lax",
    )
