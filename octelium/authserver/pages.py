"""HTML pages: made whole on the server, under a policy that allows no scripts but those that pages
for security keys and for invitations need.

`markup` makes the pieces.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from octelium.authserver.markup import Markup, link, onward, paragraph, plain
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from octelium.authserver.site import Site
    from octelium.store.resources import Resources


SCRIPT_PATH = "/assets/webauthn.js"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Pages:
    """The pages of one Cluster."""

    def __init__(self, site: Site, resources: Resources) -> None:
        self._site = site
        self._resources = resources

    def page(
        self,
        heading: str,
        *blocks: Markup,
        status: int = 200,
        forms: Sequence[str] = (),
        menu: Sequence[tuple[str, str]] = (),
        script: bool = False,
        script_path: str = SCRIPT_PATH,
    ) -> HTMLResponse:
        """A page that says which Cluster it is of.

        `forms` are the origins that its forms may go to, `'self'` among them; `menu` are addresses
        of the pages beside it and their labels, the empty address for the page itself. `script`: it
        has one, by default what asks for a security key.
        """
        used = script_path if script else ""
        return _page(
            self._site,
            _Content(heading, blocks, self.cluster_name, tuple(forms), tuple(menu), used),
            status,
        )

    def onward(self, url: str, heading: str, *blocks: Markup) -> HTMLResponse:
        """A page that leads on to `url` at once; what it says is for who sees it nevertheless.

        A redirect would do, were it not the answer to a form: the policy on where forms may go
        (https://www.w3.org/TR/CSP3/#directive-form-action) holds for redirects too.
        """
        response = self.page(heading, *blocks)
        response.headers["Refresh"] = f"0; url={url}"
        return response

    async def not_offered(self, request: Request, _error: Exception) -> Response:
        """What is said of a method that nothing here has."""
        about = f"{request.method} is not offered at this address."
        return self.page("There is nothing here", paragraph(about), self._way_on(), status=404)

    async def failed(self, _request: Request, _error: Exception) -> Response:
        """What is said of a fault of this server, which its log describes."""
        about = "The Cluster could not answer. Its log says why."
        return self.page("This did not work", paragraph(about), self._way_on(), status=500)

    def _way_on(self) -> Markup:
        return onward(self._site.portal, "To the Portal")

    @property
    def cluster_name(self) -> str:
        """What people call the Cluster: its display name, or else its domain."""
        config = self._resources.peek(core.ClusterConfig, name="default")
        return (config.metadata.display_name if config is not None else "") or self._site.domain


@dataclass(frozen=True, slots=True)
class _Content:
    heading: str
    blocks: tuple[Markup, ...]
    cluster: str
    forms: tuple[str, ...]
    menu: tuple[tuple[str, str], ...]
    script: str


def _page(site: Site, content: _Content, status: int) -> HTMLResponse:
    nonce = secrets.token_urlsafe(18)
    cluster = content.cluster
    scripts = (
        [f'<script src="{content.script}" nonce="{nonce}"></script>'] if content.script else []
    )
    html = _template().substitute(
        title=plain(f"{content.heading} · {cluster}"),
        nonce=nonce,
        style=_style(),
        cluster=plain(cluster),
        domain="" if cluster == site.domain else plain(site.domain),
        skip='<a class="skip" href="#content">Skip to the content</a>' if content.menu else "",
        menu=_menu(content.menu),
        heading=plain(content.heading),
        body="\n".join([*content.blocks, *scripts]),
    )
    forms = " ".join(content.forms) or "'none'"
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; "
        f"form-action {forms}; frame-ancestors 'none'"
    )
    if content.script:
        policy += f"; script-src 'nonce-{nonce}'"
    response = HTMLResponse(html, status, {**_HEADERS, "Content-Security-Policy": policy})
    response.set_cookie(
        "octelium_domain", site.domain, domain=site.domain, secure=True, samesite="none"
    )
    return response


def _menu(items: tuple[tuple[str, str], ...]) -> str:
    if not items:
        return ""
    shown = "".join(
        link(url, label) if url else f'<span aria-current="page">{plain(label)}</span>'
        for url, label in items
    )
    return f'<nav aria-label="Pages">{shown}</nav>'


@cache
def _template() -> Template:
    return Template(resources.files(__package__).joinpath("page.html").read_text("utf-8"))


@cache
def _style() -> str:
    return resources.files(__package__).joinpath("style.css").read_text("utf-8")
