"""A Cluster, real identity providers of every type, and files that are applied to it."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN, Api
from tests.e2e.identity_providers.visitor import Visitor
from tests.http import certs
from tests.peers import github as hub
from tests.peers import issuer as issuers
from tests.peers.oidc import OidcProvider, oidc_provider
from tests.peers.saml import EMAIL, SamlProvider, saml_provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CUSTOM = "custom-email-attr"
PEOPLE: dict[str, dict[str, Any]] = {
    # Each has an address of the same name; who has used a second factor is known to all providers.
    "ann": {"hasMFA": True, "factors": ["mfa", "pwd"], "email_verified": True},
    "ben": {"hasMFA": False, "factors": ["pwd"], "email_verified": True},
    "cleo": {"factors": ["pwd"], "email_verified": "true"},
    "dan": {"factors": ["pwd"], "email_verified": False},
}
SERVICE = """
kind: Service
metadata: {name: NAME}
spec:
  mode: WEB
  isPublic: true
  authorization: {policies: [POLICY]}
  config:
    http: {response: {direct: {contentType: text/plain, inline: opened}}}
"""


def address(name: str) -> str:
    """The e-mail address of a person."""
    return f"{name}@example.com"


@dataclass
class World:
    """The Cluster, and the providers that its people and workloads are at."""

    cluster: SourceCluster
    oidc: OidcProvider
    saml: SamlProvider
    github: hub.GitHub
    issuer: issuers.Issuer
    folder: Path
    _visitors: list[Visitor] = field(default_factory=list)

    @cached_property
    def api(self) -> Api:
        """The API, for an administrator."""
        return self.cluster.api()

    def octeliumctl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `octeliumctl` from the sources."""
        done = subprocess.run(
            [sys.executable, "-m", "octelium", "octeliumctl", *words],
            env=self.cluster.base_environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def apply(self, text: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`octeliumctl apply` of a file with these documents, `example.yaml`."""
        file = self.folder / "example.yaml"
        file.write_text(text)
        return self.octeliumctl("apply", str(file), check=check)

    def service(self, name: str, policy: str = "allow-all") -> str:
        """A document: a Service that answers `opened` to whom the Policy lets in."""
        return SERVICE.replace("NAME", name).replace("POLICY", policy)

    def visitor(self) -> Visitor:
        """Somebody with a browser of their own."""
        visitor = Visitor(self.cluster)
        self._visitors.append(visitor)
        return visitor

    def stored(self, kind: str) -> list[Any]:
        """All resources of a kind."""
        options = getattr(core, f"List{kind}Options")()
        return list(self.api.core(f"List{kind}", options).items)

    def delete(self, kind: str, *names: str) -> None:
        """Remove resources by name; without names, all that are no part of the Cluster itself."""
        for item in self.stored(kind):
            if item.metadata.name in names or not (names or item.metadata.is_system):
                self.api.core(f"Delete{kind}", meta.DeleteOptions(uid=item.metadata.uid))

    def session_of(self, visitor: Visitor) -> core.Session:
        """The Session of a browser, as the Cluster keeps it."""
        client = Api(self.api.channel)
        client.access_token = visitor.cookies["octelium_auth"]
        uid = client.user("GetStatus", user.GetStatusRequest()).session.metadata.uid
        found: core.Session
        (found,) = [each for each in self.stored("Session") if each.metadata.uid == uid]
        return found

    def user_of(self, visitor: Visitor) -> str:
        """The name of the User who is signed in in a browser."""
        return str(self.session_of(visitor).status.user_ref.name)

    def authenticate(self, assertion: str, provider: str = "") -> Api:
        """The API, for the workload that an assertion is about. Raises grpc.RpcError."""
        request = auth.AuthenticateWithAssertionRequest(assertion=assertion)
        if provider:
            request.identity_provider_ref.name = provider
        client = Api(self.api.channel)
        reply = client.call(auth, "AuthenticateWithAssertion", request)
        client.access_token = reply.access_token
        return client

    def clean(self) -> None:
        """Take back what a test applied, and close its browsers."""
        self.delete("IdentityProvider")
        for visitor in self._visitors:
            visitor.close()
        self._visitors.clear()


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """All of it, running."""
    trusted = folder / "provider-ca.pem"
    trusted.write_bytes(certs.ca().chain)
    cluster = SourceCluster(folder / "cluster", workers=1)
    callback = cluster.url("", "/callback")
    claims = {
        name: {"email": address(name), **{key: told[key] for key in told if key != "factors"}}
        for name, told in PEOPLE.items()
    }
    attributes = {
        name: {EMAIL: [f"{name}@saml.example"], CUSTOM: [address(name)], "amr": told["factors"]}
        for name, told in PEOPLE.items()
    }
    settings: dict[str, Any] = {
        "scopes": {"scope1": ["email_verified"], "scope2": ["custom-identifier"]},
        "told": {name: {"custom-identifier": f"employee-{name}"} for name in PEOPLE},
    }
    own = f"https://{DOMAIN}"
    with (
        oidc_provider(callback, claims, **settings) as oidc,
        saml_provider(folder / "saml", own, callback, attributes) as saml,
        hub.github(callback) as github,
        issuers.issuer() as issuer,
    ):
        for name in PEOPLE:
            github.add(
                f"{name}-at-github",
                {"email": address(name), "verified": True, "primary": True},
                two_factor_authentication=name == "ann",
            )
        second = folder / "saml/metadata/saml20-sp-remote.php"
        with second.open("a") as file:
            file.write(f"$metadata['urn:{DOMAIN}'] = $metadata['{own}'];\n")
        cluster.environment = {
            "SSL_CERT_FILE": str(trusted),
            "OCTELIUM_GITHUB_URL": github.url,
        }
        try:
            cluster.start()
            cluster.login()
            yield World(cluster, oidc, saml, github, issuer, folder)
        finally:
            cluster.remove()


def filled(text: str, **values: str) -> str:
    """An example with its placeholders `<NAME>` filled in."""
    found = set(re.findall(r"<([A-Z_]+)>", text))
    assert found == set(values), f"{found} are to be filled in"
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    return text
