"""Logins without a browser: pages over HTTP, calls over gRPC, many of each at a time."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import grpc
import grpc.aio
import httpx

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import DOMAIN
from tests.peers.walking import Landing, forms_of, walk

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable

    from tests.e2e.cluster import Cluster
    from tests.e2e.documents import Document
    from tests.peers.oidc import OidcProvider

_METHODS = auth.DESCRIPTOR.services_by_name["MainService"]


def users(kind: str, provider: str, names: Iterable[str], **session: Any) -> list[Document]:
    """Users of a type, each with its name as its identifier at an IdentityProvider."""
    return [
        {
            "kind": "User",
            "metadata": {"name": name},
            "spec": {
                "type": kind,
                "authentication": {
                    "identities": [{"identityProvider": provider, "identifier": name}]
                },
                "session": session,
            },
        }
        for name in names
    ]


def tokens_of(cluster: Cluster, credentials: Iterable[str]) -> list[str]:
    """New authentication tokens of Credentials."""
    with cluster.channel() as channel:
        admin = cluster.api(channel)

        def one(name: str) -> str:
            reference = meta.ObjectReference(name=name)
            request = core.GenerateCredentialTokenRequest(credential_ref=reference)
            made = admin.core("GenerateCredentialToken", request)
            return str(made.authentication_token.authentication_token)

        with ThreadPoolExecutor(16) as threads:
            return list(threads.map(one, credentials))


class ToLoopback(httpx.AsyncBaseTransport):
    """Connects to 127.0.0.1 whatever the name, from `address` if one is given."""

    def __init__(self, context: ssl.SSLContext, address: str | None = None) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=context, local_address=address)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request as it is, but for the name that is looked up."""
        return await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                request.url.copy_with(host="127.0.0.1"),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@dataclass(frozen=True)
class Gates:
    """Where logins begin: a Cluster, the provider of its people, and what both are trusted by."""

    cluster: Cluster
    provider: OidcProvider
    to_cluster: ssl.SSLContext
    to_provider: ssl.SSLContext

    @asynccontextmanager
    async def visitor(self, name: str, address: str | None = None) -> AsyncIterator[Visitor]:
        """A new browser of the person `name`."""
        transport = ToLoopback(self.to_cluster, address)
        headers = {"User-Agent": "Mozilla/5.0 (tests)", "Accept": "text/html"}
        async with httpx.AsyncClient(
            transport=transport, headers=headers, timeout=300, trust_env=False
        ) as client:
            yield Visitor(self, name, client)


@dataclass(frozen=True)
class Visitor:
    """What a browser does for a login: cookies, redirects, plain forms."""

    gates: Gates
    name: str
    client: httpx.AsyncClient

    async def go(self, url: str) -> httpx.Response:
        """The page at the end of all redirects."""
        return await self.client.get(url, follow_redirects=True)

    async def press(self, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
        """Send the first form of a page that goes to `path` and has these fields."""
        for form in forms_of(page.text):
            url = httpx.URL(urljoin(str(page.url), form.action))
            if url.path == path and fields.items() <= form.fields.items():
                origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
                return await self.client.post(url, data=form.fields, headers={"Origin": origin})
        raise AssertionError(f"{page.url} has no form for {path}: {page.text[-500:]}")

    async def leave(self, url: str) -> Landing:
        """Open a page of the Cluster, and sign in at the provider; the way back is not gone yet."""
        login = await self.go(url)
        onward = await self.press(login, "/begin")
        there = onward.headers["refresh"].partition("url=")[2]
        consumer = self.gates.cluster.url("", "/callback")
        answers = {"login": self.name, "password": "any password is right"}
        return await walk(there, consumer, answers, self.gates.to_provider)

    async def sign_in(self, url: str) -> httpx.Response:
        """The page behind a login."""
        return await self.go((await self.leave(url)).url)

    @property
    def access_token(self) -> str:
        """The one that the browser has."""
        return str(self.client.cookies.get("octelium_auth", "", f".{DOMAIN}"))


@dataclass
class Callers:
    """Clients of auth.v1, on several connections in turn."""

    channels: list[grpc.aio.Channel]
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    async def call(self, method: str, request: Any, **metadata: str) -> auth.SessionToken:
        """The tokens that a method answers with; raises grpc.aio.AioRpcError."""
        channel = self.channels[next(self._turn) % len(self.channels)]
        stub: Any = channel.unary_unary(
            f"/{_METHODS.full_name}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=auth.SessionToken.FromString,
        )
        pairs = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        reply: auth.SessionToken = await stub(request, metadata=pairs, timeout=300)
        return reply

    async def with_token(self, token: str) -> auth.SessionToken:
        """By an authentication token."""
        request = auth.AuthenticateWithAuthenticationTokenRequest(authentication_token=token)
        return await self.call("AuthenticateWithAuthenticationToken", request)

    async def with_assertion(self, assertion: str) -> auth.SessionToken:
        """By an assertion, at the IdentityProvider of its issuer."""
        request = auth.AuthenticateWithAssertionRequest(assertion=assertion)
        return await self.call("AuthenticateWithAssertion", request)

    async def renew(self, refresh_token: str) -> auth.SessionToken:
        """By a refresh token."""
        request = auth.AuthenticateWithRefreshTokenRequest()
        return await self.call(
            "AuthenticateWithRefreshToken", request, x_octelium_refresh_token=refresh_token
        )


@asynccontextmanager
async def callers(cluster: Cluster, connections: int = 16) -> AsyncIterator[Callers]:
    """Clients of a Cluster."""
    credentials = grpc.ssl_channel_credentials((cluster.data / "ca.pem").read_bytes())
    options = [
        ("grpc.ssl_target_name_override", f"octelium-api.{DOMAIN}"),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    channels = [
        grpc.aio.secure_channel(f"127.0.0.1:{cluster.port}", credentials, options)
        for _ in range(connections)
    ]
    try:
        yield Callers(channels)
    finally:
        for channel in channels:
            await channel.close()
