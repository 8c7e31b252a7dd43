"""The login host `https://<domain>`: OAuth 2.0 endpoints and pages for browsers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from octelium.authserver import ceremony
from octelium.authserver.approval import Approval
from octelium.authserver.authenticator_login import (
    AUTHENTICATE_FINISH_PATH,
    PASSKEY_FINISH_PATH,
    PASSKEY_PATH,
    AuthenticatorLogin,
)
from octelium.authserver.authenticator_pages import (
    DELETE_PATH,
    FINISH_PATH,
    LIST_PATH,
    AuthenticatorPages,
)
from octelium.authserver.authority import AUTHORITY_PATH, AuthorityPage
from octelium.authserver.browsers import AUTHENTICATE_PATH, INVITED_PATH, REGISTER_PATH, Browsers
from octelium.authserver.contained import Contained
from octelium.authserver.denied import WHY_PATH, DeniedPages
from octelium.authserver.device_codes import DeviceCodes
from octelium.authserver.device_grant import AUTHORIZATION_PATH, GRANT, PAGE_PATH, DeviceGrant
from octelium.authserver.device_page import DevicePage
from octelium.authserver.flow import APPROVAL_PATH, BEGIN_PATH, CALLBACK_PATH, SUCCESS_PATH, Flow
from octelium.authserver.invitation_pages import PASSKEY_FINISH_PATH as INVITED_FINISH_PATH
from octelium.authserver.invitation_pages import SCRIPT_PATH as INVITATION_SCRIPT_PATH
from octelium.authserver.invitation_pages import InvitationPages
from octelium.authserver.login import LOGOUT_PATH, LoginPages
from octelium.authserver.logins import Logins
from octelium.authserver.oauth2 import METADATA_PATH, TOKEN_PATH, OAuth2
from octelium.authserver.pages import SCRIPT_PATH, Pages
from octelium.authserver.planted import PlantedCookies
from octelium.authserver.saml_page import METADATA_PATH as SAML_PATH
from octelium.authserver.saml_page import SamlPage
from octelium.authserver.waiting import Waiting
from octelium.identity.invitation_logins import PATH as INVITATION_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.authserver.denied import Reasons
    from octelium.authserver.logins import Protocols
    from octelium.authserver.oauth2 import Publish
    from octelium.authserver.site import Site
    from octelium.authserver.workloads import Workloads
    from octelium.identity.authentication import Authentication
    from octelium.identity.authenticators.authenticators import Authenticators
    from octelium.identity.client_logins import ClientLogins
    from octelium.identity.invitation_logins import InvitationLogins
    from octelium.store.resources import Resources

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(
    site: Site,
    resources: Resources,
    authentication: Authentication,
    publish: Publish,
    reasons: Reasons,
    protocols: Protocols,
    client_logins: ClientLogins,
    workloads: Workloads,
    authenticators: Authenticators,
    invitations: InvitationLogins,
    clock: Callable[[], float] = time.time,
    timer: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The application behind the Service `default.default`.

    `clock` tells unix seconds, `timer` seconds that only rise.
    """
    pages = Pages(site, resources)
    logins = Logins(resources, authentication, protocols, publish)
    browsers, waiting = Browsers(authentication, clock), Waiting(timer)
    flow = Flow(site, pages, logins, browsers, waiting)
    login = LoginPages(
        site, pages, logins, browsers, waiting, flow, lambda: authenticators.offers_passkeys
    )
    own = AuthenticatorPages(site, pages, browsers, waiting, authenticators, publish, resources)
    proving = AuthenticatorLogin(site, pages, browsers, waiting, authenticators, publish)
    approval = Approval(site, pages, logins, browsers, waiting, client_logins)
    invited = InvitationPages(
        site, pages, resources, browsers, invitations, authenticators, publish
    )
    denied = DeniedPages(site, pages, resources, browsers, reasons)
    codes = DeviceCodes(timer)
    machines = DeviceGrant(site, codes, authentication, client_logins, publish)
    device = DevicePage(site, pages, resources, browsers, codes)
    oauth2 = OAuth2(
        site,
        authentication,
        publish,
        {GRANT: machines.tokens},
        {"device_authorization_endpoint": AUTHORIZATION_PATH},
        workloads,
    )
    app = Starlette(
        routes=[
            Route("/", login.sign_in),
            Route("/login", login.sign_in),
            Route(LOGOUT_PATH, login.log_out, methods=["POST"]),
            Route(BEGIN_PATH, flow.begin, methods=["POST"]),
            Route(CALLBACK_PATH, flow.callback, methods=["GET", "POST"]),
            Route(SUCCESS_PATH, flow.success),
            Route(APPROVAL_PATH, approval.page, methods=["GET", "POST"]),
            Route(LIST_PATH, own.list),
            Route(REGISTER_PATH, own.register, methods=["GET", "POST"]),
            Route(FINISH_PATH, own.finish, methods=["POST"]),
            Route(DELETE_PATH, own.delete, methods=["POST"]),
            Route(AUTHENTICATE_PATH, proving.authenticate, methods=["GET", "POST"]),
            Route(AUTHENTICATE_FINISH_PATH, proving.finish, methods=["POST"]),
            Route(PASSKEY_PATH, proving.passkey, methods=["POST"]),
            Route(PASSKEY_FINISH_PATH, proving.passkey_finish, methods=["POST"]),
            Route(SCRIPT_PATH, ceremony.script),
            Route(INVITATION_PATH, invited.invitation, methods=["GET", "POST"]),
            Route(INVITED_PATH, invited.passkey, methods=["GET", "POST"]),
            Route(INVITED_FINISH_PATH, invited.finish, methods=["POST"]),
            Route(INVITATION_SCRIPT_PATH, invited.script),
            Route("/denied", denied.denied),
            Route(WHY_PATH, denied.why),
            Route(AUTHORITY_PATH, AuthorityPage(site, pages).certificate),
            Route(SAML_PATH, SamlPage(site, resources).metadata),
            Route(TOKEN_PATH, oauth2.token, methods=_METHODS),
            Route(AUTHORIZATION_PATH, machines.authorize, methods=["POST"]),
            Route(PAGE_PATH, device.page, methods=["GET", "POST"]),
            Route(METADATA_PATH, oauth2.metadata),
        ],
        middleware=[Middleware(PlantedCookies, site), Middleware(Contained, pages.failed)],
        exception_handlers={HTTPException: login.elsewhere},
    )
    # A redirect to the path with or without its slash would name the Host of the request.
    app.router.redirect_slashes = False
    return app
