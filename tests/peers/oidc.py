"""The OpenID Connect provider `oidc-provider` from npm, with TLS."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.http import certs
from tests.peers import node
from tests.peers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from playwright.sync_api import Page


@dataclass(frozen=True)
class OidcProvider:
    """A running provider. Whoever logs in there as `NAME`, with any password, has the subject
    `NAME` and the claims of `users[NAME]`.
    """

    issuer: str
    client_id: str = "octelium"
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def resources(self) -> list[dict[str, Any]]:
        """The IdentityProvider `corp`, which finds people by their subjects, and its Secret."""
        oidc = {
            "issuerURL": self.issuer,
            "clientID": self.client_id,
            "clientSecret": {"fromSecret": "corp-secret"},
            "identifierClaim": "sub",
        }
        return [
            {
                "kind": "Secret",
                "metadata": {"name": "corp-secret"},
                "spec": {},
                "data": {"value": self.client_secret},
            },
            {
                "kind": "IdentityProvider",
                "metadata": {"name": "corp"},
                "spec": {"displayName": "Example Corp", "oidc": oidc},
            },
        ]


@contextmanager
def oidc_provider(
    redirect_uri: str,
    users: Mapping[str, Mapping[str, Any]],
    *,
    workloads: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
    **settings: Any,
) -> Iterator[OidcProvider]:
    """A provider that knows one client. Its certificate is of `tests.http.certs.ca()`.

    `workloads` are client ids and their secrets; `within` are words before its command.
    """
    port = free_port()
    provider = OidcProvider(f"https://localhost:{port}")
    pair = certs.server("localhost")
    client = {
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    }
    machines = [
        {
            "client_id": name,
            "client_secret": secret,
            "redirect_uris": [],
            "grant_types": ["client_credentials"],
            "response_types": [],
        }
        for name, secret in (workloads or {}).items()
    ]
    told = {
        "issuer": provider.issuer,
        "port": port,
        "key": pair.key.decode(),
        "chain": (pair.chain + certs.ca().chain).decode(),
        "clients": [client, *machines],
        "users": users,
        **settings,
    }
    with node.running("oidc.mjs", told, within):
        yield provider


def sign_in(page: Page, name: str) -> None:
    """Go through the provider's pages as `name`; they end with the redirect to the client."""
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", "any password is right")
    page.click("button[type=submit]")
    page.get_by_role("button", name="Continue").click()
