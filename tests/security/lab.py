"""A running Cluster with real providers of identities, for attacks on the way to a Session.

What is refused must leave no trace but one: the store is compared before and after, and the
authentication log must name the reason.
"""

from __future__ import annotations

import asyncio
import http.cookiejar
import itertools
import json
import re
import ssl
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from octelium.authserver.providers.saml import EMAIL
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN, Api
from tests.http import certs
from tests.peers import github, issuer, oidc, rogue, saml
from tests.peers.walking import Landing, walk
from tests.security.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import grpc

KINDS_COMPARED = ("Session", "User", "Authenticator", "Device", "Credential", "IdentityProvider")
AUDIENCE = f"https://{DOMAIN}"
WORKLOAD = "system:serviceaccount:default:bot"
RULES = [{"condition": {"match": 'ctx.user.metadata.name.startsWith("mfa-")'}, "effect": "ENFORCE"}]
Document = dict[str, Any]


def person(name: str, email: str = "", identities: dict[str, str] | None = None) -> Document:
    """A HUMAN."""
    known = [
        {"identityProvider": provider, "identifier": identifier}
        for provider, identifier in (identities or {}).items()
    ]
    spec: Document = {
        "type": "HUMAN",
        "authentication": {"identities": known},
        "session": {"maxPerUser": 5000},  # all tests share the Cluster
    }
    if email:
        spec["email"] = email
    return {"kind": "User", "metadata": {"name": name}, "spec": spec}


@dataclass
class Lab:
    """The Cluster, its peers, and what is known of both."""

    cluster: SourceCluster
    corp: oidc.OidcProvider
    """npm's `oidc-provider`; people have their names as subjects."""
    okta: saml.SamlProvider
    """SimpleSAMLphp."""
    hub: github.GitHub
    liar: rogue.Rogue
    """An OpenID Connect provider that says what a test wants."""
    other: rogue.Rogue
    """Another one, which the Cluster knows too."""
    strict: rogue.Rogue
    """One more, which has to say that it has verified addresses."""
    k8s: issuer.Issuer
    """Signs the tokens of workloads."""
    api: Api = field(init=False)
    channel: grpc.Channel = field(init=False)
    client: httpx.Client = field(init=False)
    admin: httpx.Client = field(init=False)
    _uids: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _known: tuple[str, dict[str, bytes]] = ("", {})

    def begin(self) -> None:
        """Have the Cluster know everybody."""
        self.channel = self.cluster.channel()
        self.api = self.cluster.api(self.channel)
        self.client = self.cluster.http(follow_redirects=False)
        # Visitors have cookies of their own, which a client for all of them must not mix up.
        nobody = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
        self.client.cookies.jar.set_policy(nobody)
        self.admin = httpx.Client(trust_env=False)
        self._configure()
        for document in self._documents():
            self.create(document)

    def create(self, document: Document) -> Any:
        """Create a resource."""
        kind = document["kind"]
        return self.api.core(f"Create{kind}", from_json(KINDS[kind].message, document))

    def update(self, document: Document) -> Any:
        """Change a resource."""
        kind = document["kind"]
        return self.api.core(f"Update{kind}", from_json(KINDS[kind].message, document))

    def uid(self, name: str) -> str:
        """Of an IdentityProvider."""
        if name not in self._uids:
            got = self.api.core("GetIdentityProvider", meta.GetOptions(name=name))
            self._uids[name] = got.metadata.uid
        return self._uids[name]

    def visitor(self) -> Visitor:
        """A new browser at a new address."""
        number = next(self._numbers)
        address = f"198.51.{number // 250}.{number % 250 + 1}"
        return Visitor(self.cluster, self.client, address)

    def walk(self, url: str, **answers: str) -> Landing:
        """Go through a provider's pages."""
        context = ssl.create_default_context(cadata=certs.ca().chain.decode())
        return asyncio.run(walk(url, self.cluster.url("", "/callback"), answers, context))

    def sign_in(self, visitor: Visitor, query: str = "", **claims: Any) -> httpx.Response:
        """At `liar`, as whoever it says; the answer to the callback."""
        self.liar.claims = claims
        url = visitor.begin(self.uid("liar"), query)
        return visitor.come_back(self.liar.authorize(url))

    def as_ann(self) -> Visitor:
        """A browser that Ann has signed in with."""
        visitor = self.visitor()
        self.sign_in(visitor, email="ann@example.com")
        assert visitor.is_signed_in
        return visitor

    @property
    def state(self) -> dict[str, bytes]:
        """Everything of the compared kinds in the store, by kind and uid."""
        text = self.admin.get(f"http://127.0.0.1:{self.cluster.admin}/metrics").text
        found = re.search(r"^octelium_store_revision\S* (\S+)$", text, re.MULTILINE)
        assert found
        if found[1] != self._known[0]:
            self._known = found[1], self._all()
        return self._known[1]

    def entries(self, address: str, after: int = 0) -> list[ext.AuthenticationLogEntry]:
        """The authentication log of a client, the newest first."""
        reply = self.api.call(
            ext,
            "ListAuthenticationLog",
            ext.ListAuthenticationLogRequest(client_address=address, limit=200),
            x_octelium_auth=self.api.access_token,
        )
        return [entry for entry in reply.items if number_of(entry) > after]

    @contextmanager
    def refused(self, visitor: Visitor, *reasons: str) -> Iterator[None]:
        """Within, so many attempts are refused for these reasons, and nothing else happens."""
        before, known = self.state, self.entries(visitor.address)
        cookies = dict(visitor.cookies)
        last = number_of(known[0]) if known else 0
        yield
        assert self.state == before
        for name in ("octelium_auth", "octelium_rt"):  # may be forgotten, not changed
            assert visitor.cookies.get(name, cookies.get(name)) == cookies.get(name)
        entries = self.entries(visitor.address, last)[::-1]
        told = [entry.reason for entry in entries]
        assert len(told) == len(reasons), told
        for entry, reason in zip(entries, reasons, strict=True):
            assert entry.outcome == "refused"
            assert entry.reason
            assert reason in entry.reason, told
            assert entry.operation

    def _all(self) -> dict[str, bytes]:
        found = {}
        for kind in KINDS_COMPARED:
            options = getattr(core, f"List{kind}Options")(
                common=meta.CommonListOptions(items_per_page=1000)
            )
            reply = self.api.core(f"List{kind}", options)
            assert not reply.list_response_meta.has_more
            for item in reply.items:
                found[f"{kind} {item.metadata.uid}"] = item.SerializeToString(deterministic=True)
        return found

    def _configure(self) -> None:
        config = self.api.core("GetClusterConfig", core.GetClusterConfigRequest())
        config.spec.ingress.use_forwarded_for_header = True
        config.spec.ingress.xff_num_trusted_hops = 1
        rules = {"authenticationEnforcementRules": RULES, "registrationEnforcementRules": RULES}
        authenticator = {"enablePasskeyLogin": True, **rules}
        document = {"spec": {"authenticator": authenticator}}
        config.spec.authenticator.MergeFrom(
            from_json(core.ClusterConfig, document).spec.authenticator
        )
        self.api.core("UpdateClusterConfig", config)

    def _documents(self) -> list[Document]:
        def secret(name: str, value: str) -> Document:
            metadata = {"name": name}
            return {"kind": "Secret", "metadata": metadata, "spec": {}, "data": {"value": value}}

        def provider(name: str, **spec: Any) -> Document:
            return {"kind": "IdentityProvider", "metadata": {"name": name}, "spec": spec}

        def client(peer: rogue.Rogue, **more: Any) -> Document:
            secret = {"fromSecret": "rogue-secret"}
            known = {"issuerURL": peer.url, "clientID": "octelium", "clientSecret": secret}
            return {**known, **more}

        hub = {"clientID": self.hub.client_id, "clientSecret": {"fromSecret": "hub-secret"}}
        pending = person("pen", "pen@example.com")
        pending["spec"]["session"]["defaultState"] = "PENDING"
        bot = person("bot", identities={"k8s": WORKLOAD})
        bot["spec"]["type"] = "WORKLOAD"
        return [
            *self.corp.resources(),
            secret("rogue-secret", "sesame"),
            secret("hub-secret", self.hub.client_secret),
            provider("liar", oidc=client(self.liar)),
            provider("strict", oidc=client(self.strict, checkEmailVerified=True)),
            provider("other", oidc=client(self.other)),
            provider("hub", github=hub),
            provider("okta", saml={"metadataURL": self.okta.metadata_url}),
            provider("k8s", oidcIdentityToken={"issuerURL": self.k8s.url}),
            person("ann", "ann@example.com", {"corp": "ann", "hub": "ann"}),
            person("eve", "eve@example.com", {"corp": "eve", "hub": "eve"}),
            person("mfa-totp", "totp@example.com"),
            person("mfa-none", "none@example.com"),
            pending,
            bot,
        ]


def number_of(entry: ext.AuthenticationLogEntry) -> int:
    """The place of an entry in the log."""
    return int(entry.id.removeprefix("auth-"))


@contextmanager
def laboratory(folder: Path) -> Iterator[Lab]:
    """A running one."""
    trusted = folder / "provider-ca.pem"
    trusted.write_bytes(certs.ca().chain)
    cluster = SourceCluster(folder / "cluster", workers=1)
    callback = cluster.url("", "/callback")
    people = {name: {"email": f"{name}@example.com"} for name in ("ann", "eve")}
    attributes = {name: {EMAIL: [f"{name}@example.com"]} for name in ("ann", "eve")}
    with ExitStack() as stack:
        stack.callback(cluster.remove)
        hub = stack.enter_context(github.github(callback))
        for name in ("ann", "eve"):
            hub.add(name)
        cluster.environment = {"SSL_CERT_FILE": str(trusted), "OCTELIUM_GITHUB_URL": hub.url}
        lab = Lab(
            cluster,
            stack.enter_context(oidc.oidc_provider(callback, people)),
            stack.enter_context(
                saml.saml_provider(folder / "saml", AUDIENCE, callback, attributes)
            ),
            hub,
            stack.enter_context(rogue.rogue()),
            stack.enter_context(rogue.rogue()),
            stack.enter_context(rogue.rogue()),
            stack.enter_context(issuer.issuer()),
        )
        cluster.start()
        lab.begin()
        stack.callback(lab.channel.close)
        stack.callback(lab.client.close)
        stack.callback(lab.admin.close)
        yield lab


def payload_of(token: str) -> dict[str, Any]:
    """The claims of a JWT."""
    import base64

    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
