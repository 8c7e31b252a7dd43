from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from starlette.routing import Route

from octelium.authserver.app import create_app
from octelium.authserver.site import Site

if TYPE_CHECKING:
    from tests.authserver.browser import Host


async def test_what_there_is(host: Host) -> None:
    app = create_app(
        Site("example.com"),
        host.cluster.resources,
        host.cluster.authentication,
        host.publish,
        host.reasons,
        host.provider,
        host.client_logins,
        host.workloads,
        host.authenticators,
        host.invitations,
    )
    assert {route.path for route in app.routes if isinstance(route, Route)} == {
        "/",
        "/login",
        "/logout",
        "/begin",
        "/ca.pem",
        "/callback",
        "/callback/success",
        "/callback/success/approval",
        "/assets/webauthn.js",
        "/assets/invitation.js",
        "/invite",
        "/invite/passkey",
        "/invite/passkey/finish",
        "/authenticators",
        "/authenticators/authenticate",
        "/authenticators/authenticate/finish",
        "/authenticators/delete",
        "/authenticators/passkey",
        "/authenticators/passkey/finish",
        "/authenticators/register",
        "/authenticators/register/finish",
        "/denied",
        "/denied/why",
        "/device",
        "/oauth2/device_authorization",
        "/oauth2/token",
        "/saml/metadata",
        "/.well-known/oauth-authorization-server",
    }
    assert not app.router.redirect_slashes
    assert not app.debug


@pytest.mark.parametrize(
    "path",
    [
        *("/docs", "/openapi.json", "/healthz", "/metrics", "/debug"),
        # Tokens are for the Cluster alone: nothing is published to verify them with.
        *("/.well-known/openid-configuration", "/.well-known/jwks.json", "/oauth2/jwks"),
    ],
)
async def test_nothing_answers_by_a_magic_path(host: Host, path: str) -> None:
    response = await host.client.get(path, headers={"user-agent": "kube-probe/1.30"})
    assert response.status_code == 303
    assert response.headers["location"] == "/login"


def test_the_pages_come_with_the_package() -> None:
    script = (
        "import json, importlib.resources as r;"
        "print(json.dumps([f.name for f in r.files('octelium.authserver').iterdir()]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert {"page.html", "style.css", "webauthn.js"} <= set(json.loads(done.stdout))
