"""Two hundred logins at a time: none fails, and everybody is who they are."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.cluster.conftest import SourceCluster
from tests.conftest import SOAK
from tests.e2e.logins import Gates, ToLoopback, callers, tokens_of, users
from tests.http import certs
from tests.peers import issuer as issuers
from tests.peers.oidc import oidc_provider

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.e2e.documents import Document
    from tests.e2e.logins import Visitor

MANY = 200
MACHINES = 200 if SOAK else 50
_EACH_ADDRESS = 25
PEOPLE = [f"person-{number}" for number in range(MANY)]
OPERATORS = [f"operator-{number}" for number in range(MACHINES)]
WORKLOADS = [f"workload-{number}" for number in range(MANY)]


@dataclass(frozen=True)
class World:
    """A Cluster with many Users, and what vouches for them."""

    cluster: SourceCluster
    gates: Gates
    issuer: issuers.Issuer


def documents(upstream: int, issuer: str) -> list[Document]:
    """Everybody, and a Service that tells its upstream whose request it is."""

    everybody = {"rules": [{"effect": "ALLOW", "condition": {"matchAny": True}}]}
    told = {"addRequestHeaders": [{"key": "X-Who", "eval": "ctx.user.metadata.name"}]}
    return [
        {
            "kind": "IdentityProvider",
            "metadata": {"name": "platform"},
            "spec": {"oidcIdentityToken": {"issuerURL": issuer}},
        },
        *users("HUMAN", "corp", (*PEOPLE, *OPERATORS)),
        *users("WORKLOAD", "platform", WORKLOADS),
        *(
            {
                "kind": "Credential",
                "metadata": {"name": name},
                "spec": {"type": "AUTH_TOKEN", "user": name, "sessionType": "CLIENTLESS"},
            }
            for name in WORKLOADS
        ),
        {
            "kind": "Service",
            "metadata": {"name": "who"},
            "spec": {
                "mode": "WEB",
                "isPublic": True,
                "authorization": {"inlinePolicies": [{"spec": everybody}]},
                "config": {
                    "upstream": {"url": f"http://127.0.0.1:{upstream}"},
                    "http": {"header": told},
                },
            },
        },
    ]


@pytest.fixture(scope="module", name="world")
def world_fixture(tmp_path_factory: pytest.TempPathFactory, upstream_port: int) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("many-logins")
    trusted = folder / "provider-ca.pem"
    trusted.write_bytes(certs.ca().chain)
    cluster = SourceCluster(folder / "cluster", environment={"SSL_CERT_FILE": str(trusted)})
    with (
        oidc_provider(cluster.url("", "/callback"), {}) as provider,
        issuers.issuer() as issuer,
    ):
        try:
            cluster.start()
            cluster.login()
            cluster.apply(*provider.resources(), *documents(upstream_port, issuer.url))
            to_provider = ssl.create_default_context(cafile=str(trusted))
            yield World(cluster, Gates(cluster, provider, cluster.tls(), to_provider), issuer)
        finally:
            cluster.remove()


def whose(page: Any) -> str:
    """The User whose request the upstream received."""
    assert page.status_code == 200, page.text
    (found,) = (value for name, value in page.json()["headers"] if name.lower() == "x-who")
    return str(found)


def sessions(world: World) -> dict[str, list[core.Session]]:
    """Every Session, by the User that it belongs to."""
    api = world.cluster.api()
    found: dict[str, list[core.Session]] = {}
    options = core.ListSessionOptions(common=meta.CommonListOptions(items_per_page=1000))
    page = api.core("ListSession", options)
    assert not page.list_response_meta.has_more
    for session in page.items:
        found.setdefault(session.status.user_ref.name, []).append(session)
    return found


async def test_people(world: World) -> None:
    """All of them are at the provider before the first one comes back."""
    url = world.cluster.url("who", "/today")
    gate = asyncio.Barrier(MANY)

    async def one(name: str) -> tuple[str, str]:
        async with world.gates.visitor(name) as visitor:
            landing = await visitor.leave(url)
            await gate.wait()
            page = await visitor.go(landing.url)
            assert str(page.url) == url
            return whose(page), visitor.access_token

    reached = await asyncio.gather(*map(one, PEOPLE))
    assert [name for name, _ in reached] == PEOPLE
    assert len({token for _, token in reached}) == MANY
    found = sessions(world)
    for name in PEOPLE:
        (session,) = found[name]
        began = session.status.initial_authentication.info.identity_provider
        assert (began.identifier, session.status.is_browser) == (name, True)


async def test_workloads(world: World) -> None:
    """By assertions, by tokens of Credentials, and on by refresh tokens."""
    tokens = await asyncio.to_thread(tokens_of, world.cluster, WORKLOADS)
    audience = world.cluster.url("", "").rpartition(":")[0]
    async with callers(world.cluster) as api:
        by_assertion = await asyncio.gather(
            *(api.with_assertion(world.issuer.token(name, audience)) for name in WORKLOADS)
        )
        assert world.issuer.fetches == 1
        by_token = await asyncio.gather(*map(api.with_token, tokens))
        renewed = await asyncio.gather(*(api.renew(each.refresh_token) for each in by_token))
    found = sessions(world)
    for name in WORKLOADS:
        counts = sorted(session.status.total_authentications for session in found[name])
        assert counts == [1, 2]
    assert await owners(world, by_assertion) == WORKLOADS
    assert await owners(world, renewed) == WORKLOADS
    assert set(await owners(world, by_token)) == {""}


async def owners(world: World, issued: Sequence[auth.SessionToken]) -> list[str]:
    """Whose requests access tokens make; empty where they are refused."""
    transport = ToLoopback(world.gates.to_cluster)
    async with httpx.AsyncClient(transport=transport, timeout=300, trust_env=False) as client:

        async def one(tokens: auth.SessionToken) -> str:
            bearer = {"Authorization": f"Bearer {tokens.access_token}"}
            page = await client.get(world.cluster.url("who"), headers=bearer)
            return "" if page.status_code == 401 else whose(page)

        return await asyncio.gather(*map(one, issued))


async def test_machines(world: World) -> None:
    """Those of one address are few at a time, so these have several."""

    async def one(number: int) -> auth.SessionToken:
        address = f"127.0.1.{1 + number // _EACH_ADDRESS}"
        async with (
            world.gates.visitor(OPERATORS[number]) as person,
            world.gates.visitor("", address) as machine,
        ):
            return await let_in(person, machine)

    issued = await asyncio.gather(*map(one, range(MACHINES)))
    assert await owners(world, issued) == OPERATORS


async def let_in(person: Visitor, machine: Visitor) -> auth.SessionToken:
    """The tokens of a machine that a person lets in."""
    cluster, client = person.gates.cluster, {"client_id": "octelium-cli"}
    asked = await machine.client.post(cluster.url("", "/oauth2/device_authorization"), data=client)
    told = asked.json()
    question = await person.sign_in(told["verification_uri_complete"])
    done = await person.press(question, "/device", decision="approve")
    assert "The machine is let in" in done.text
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    form = {"grant_type": grant, "device_code": told["device_code"], **client}
    tokens = (await machine.client.post(cluster.url("", "/oauth2/token"), data=form)).json()
    return auth.SessionToken(access_token=tokens["access_token"])
