"""HTML pages: made whole on the server, without scripts, under a policy that allows none.

Everything that is put into a page is escaped here, and nowhere else.
"""

from __future__ import annotations

import secrets
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from octelium.authserver.site import Site
    from octelium.policy.narration import Line
    from octelium.store.resources import Resources


class Markup(str):
    """HTML that is safe as it is."""

    __slots__ = ()


_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_DEEPEST = 6
"""Level of a line from which on it stands no further to the right."""
_SESSION_COOKIES = ("octelium_auth", "octelium_rt", "octelium_login_state")


def code(value: str) -> Markup:
    """A word of a command or a file, within a sentence."""
    return Markup(f"<code>{escape(value)}</code>")


def link(url: str, label: str) -> Markup:
    """A link. Raises ValueError for anything but an absolute https URL."""
    if not url.startswith("https://"):
        raise ValueError(f"{url!r} is no https URL")
    return Markup(f'<a href="{escape(url)}">{escape(label)}</a>')


def paragraph(*parts: Markup | str) -> Markup:
    """A paragraph of texts and of markup within them."""
    return Markup(f"<p>{''.join(map(_escaped, parts))}</p>")


def command(line: str) -> Markup:
    """A command line that a reader is to copy."""
    return Markup(f"<pre>{escape(line)}</pre>")


def lines(items: Iterable[Line]) -> Markup:
    """Lines of a text with their levels and tones."""
    shown = "".join(
        f'<p class="{line.tone.value} level-{min(line.indent, _DEEPEST)}">{escape(line.text)}</p>'
        for line in items
    )
    return Markup(f'<div class="lines">{shown}</div>')


def listing(items: Iterable[tuple[Markup | str, str]]) -> Markup:
    """A list of things, each with a line about it."""
    entries = "".join(
        f'<li>{_escaped(item)}<span class="about">{escape(about)}</span></li>'
        for item, about in items
    )
    return Markup(f"<ul>{entries}</ul>")


class Pages:
    """The pages of one Cluster."""

    def __init__(self, site: Site, resources: Resources) -> None:
        self._site = site
        self._resources = resources

    def page(self, heading: str, *blocks: Markup, status: int = 200) -> HTMLResponse:
        """A page that says which Cluster it is of."""
        return _page(self._site, self._cluster_name(), heading, blocks, status)

    async def not_offered(self, request: Request, _error: Exception) -> Response:
        """What is said of a method that nothing here has."""
        about = f"{request.method} is not offered at this address."
        return self.page("There is nothing here", paragraph(about), status=404)

    async def failed(self, _request: Request, _error: Exception) -> Response:
        """What is said of a fault of this server, which its log describes."""
        about = "The Cluster could not answer. Its log says why."
        return self.page("This did not work", paragraph(about), status=500)

    def _cluster_name(self) -> str:
        """What people call the Cluster: its display name, or else its domain."""
        config = self._resources.peek(core.ClusterConfig, name="default")
        return (config.metadata.display_name if config is not None else "") or self._site.domain


def _page(
    site: Site, cluster: str, heading: str, blocks: tuple[Markup, ...], status: int
) -> HTMLResponse:
    nonce = secrets.token_urlsafe(18)
    html = _template().substitute(
        title=escape(f"{heading} · {cluster}"),
        nonce=nonce,
        style=_style(),
        cluster=escape(cluster),
        domain="" if cluster == site.domain else escape(site.domain),
        heading=escape(heading),
        body="\n".join(blocks),
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    response = HTMLResponse(html, status, {**_HEADERS, "Content-Security-Policy": policy})
    response.set_cookie(
        "octelium_domain", site.domain, domain=site.domain, secure=True, samesite="none"
    )
    return response


def _escaped(part: Markup | str) -> str:
    return part if isinstance(part, Markup) else escape(part)


def clear_cookies(site: Site, response: Response) -> None:
    """Have the browser forget the Session that it may have had."""
    for name in _SESSION_COOKIES:
        response.set_cookie(
            name,
            "",
            max_age=0,
            domain=site.domain,
            secure=True,
            httponly=True,
            samesite="none" if name == "octelium_login_state" else "lax",
        )


def has_cookies(names: Iterable[str]) -> bool:
    """Whether a browser that sent cookies of these names believes to have a Session."""
    return not set(_SESSION_COOKIES).isdisjoint(names)


@cache
def _template() -> Template:
    return Template(resources.files(__package__).joinpath("page.html").read_text("utf-8"))


@cache
def _style() -> str:
    return resources.files(__package__).joinpath("style.css").read_text("utf-8")
