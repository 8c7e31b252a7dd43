"""A Cluster's login host, and a client that talks to it without a network."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from octelium.authserver.app import create_app
from octelium.authserver.keys_of_issuers import KeysOfIssuers
from octelium.authserver.openable import Openness
from octelium.authserver.portal import create_portal_app
from octelium.authserver.providers.discovery import Discoveries
from octelium.authserver.site import Site
from octelium.authserver.workloads import Workloads
from octelium.identity.authenticators.authenticators import Authenticators
from octelium.identity.authenticators.rate_limits import RateLimits
from octelium.identity.authenticators.relying_party import RelyingParty
from octelium.identity.client_logins import ClientLogins
from octelium.identity.invitation_logins import InvitationLogins
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.provider import FakeProvider
from tests.authserver.providers import trusting
from tests.identity.authenticators.people import Rules
from tests.identity.cluster import Clock, Cluster, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.policy.narration import Line

SITE = Site("example.com")


class Reasons:
    """Answers as a test prepared it, for one token and one entry."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.known: dict[tuple[str, str], list[Line]] = {}

    async def why(self, token: str, entry: str, client_address: str) -> list[Line] | None:
        self.asked.append((token, entry, client_address))
        return self.known.get((token, entry))


class Openable:
    """Has every Service open, but for what a test says."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.asked: list[tuple[str, str]] = []
        self.closed: set[str] = set()
        self.partial: set[str] = set()
        self.begins: dict[str, str] = {}
        self.broken = False

    async def services(self, user: core.User, session: core.Session) -> dict[str, Openness] | None:
        self.asked.append((user.metadata.name, session.metadata.uid))
        if self.broken:
            return None
        names = {each.metadata.name for each in self._cluster.resources.peek_all(core.Service)}
        return {
            name: Openness.DEPENDS if name in self.partial else Openness.OPEN
            for name in names - self.closed
        }

    def entrances(self, session: core.Session) -> dict[str, str]:
        return self.begins


class Host:
    """`site`'s applications over one Cluster."""

    def __init__(self, cluster: Cluster, site: Site = SITE) -> None:
        self.cluster = cluster
        self.published = 0
        self.reasons = Reasons()
        self.provider = FakeProvider()
        self.client_logins = ClientLogins(cluster.resources, cluster.keyring, clock=cluster.clock)
        fetcher = trusting.fetcher()
        self.workloads = Workloads(
            site,
            cluster.resources,
            cluster.authentication,
            KeysOfIssuers(fetcher, Discoveries(fetcher)),
        )
        self.authenticator_rules = Rules()
        self.authenticators = Authenticators(
            cluster.resources,
            cluster.keyring,
            cluster.authentication,
            RelyingParty(site.domain, site.origin),
            self.authenticator_rules,
            clock=cluster.clock,
            limits=RateLimits(clock=cluster.clock),
        )
        self.invitations = InvitationLogins(
            cluster.resources,
            cluster.keyring,
            cluster.authentication,
            site.origin,
            clock=cluster.clock,
        )
        app = create_app(
            site,
            cluster.resources,
            cluster.authentication,
            self.publish,
            self.reasons,
            self.provider,
            self.client_logins,
            self.workloads,
            self.authenticators,
            self.invitations,
            clock=cluster.clock,
            timer=Clock(0),
        )
        self.client = _client(app, "https://example.com")
        self.openable = Openable(cluster)
        portal = create_portal_app(
            site,
            cluster.resources,
            cluster.authentication,
            self.publish,
            self.openable,
            clock=cluster.clock,
        )
        self.portal = _client(portal, "https://portal.example.com")

    async def publish(self) -> None:
        self.published += 1


def _client(app: Any, base: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=base)


@asynccontextmanager
async def open_host(directory: Path) -> AsyncIterator[Host]:
    async with open_cluster(directory) as cluster:
        host = Host(cluster)
        async with host.client, host.portal:
            yield host
