"""The login host `https://<domain>`: OAuth 2.0 endpoints and pages for browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from octelium.authserver.denied import WHY_PATH, DeniedPages
from octelium.authserver.login import LoginPages
from octelium.authserver.oauth2 import METADATA_PATH, TOKEN_PATH, OAuth2
from octelium.authserver.pages import Pages

if TYPE_CHECKING:
    from octelium.authserver.denied import Reasons
    from octelium.authserver.oauth2 import Publish
    from octelium.authserver.site import Site
    from octelium.identity.authentication import Authentication
    from octelium.store.resources import Resources

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(
    site: Site,
    resources: Resources,
    authentication: Authentication,
    publish: Publish,
    reasons: Reasons,
) -> Starlette:
    """The application behind the Service `default.default`."""
    pages = Pages(site, resources)
    login = LoginPages(site, pages)
    denied = DeniedPages(site, pages, reasons)
    oauth2 = OAuth2(site, authentication, publish)
    app = Starlette(
        routes=[
            Route("/", login.sign_in),
            Route("/login", login.sign_in),
            Route("/denied", denied.denied),
            Route(WHY_PATH, denied.why),
            Route(TOKEN_PATH, oauth2.token, methods=_METHODS),
            Route(METADATA_PATH, oauth2.metadata),
        ],
        exception_handlers={HTTPException: login.elsewhere, Exception: pages.failed},
    )
    # A redirect to the path with or without its slash would name the Host of the request.
    app.router.redirect_slashes = False
    return app
