"""The control process: the store, its API, the login endpoints, the log store, health."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from octelium.apiserver import auth
from octelium.apiserver.assertions import AssertionService
from octelium.apiserver.auth import AuthService
from octelium.apiserver.authenticators import AuthenticatorService
from octelium.apiserver.connect.gateways import GatewayPlan, choose_public_addresses, prepare
from octelium.apiserver.connect.service import ConnectService
from octelium.apiserver.cookies import BrowserPages
from octelium.apiserver.core.deployment import NOT_CONFIGURED
from octelium.apiserver.devices import DeviceService
from octelium.apiserver.janitor import Janitor
from octelium.apiserver.rpc import Binding
from octelium.apiserver.server import ApiServer
from octelium.authserver.app import create_app
from octelium.authserver.keys_of_issuers import KeysOfIssuers
from octelium.authserver.portal import create_portal_app
from octelium.authserver.providers.discovery import Discoveries
from octelium.authserver.providers.fetch import Fetcher
from octelium.authserver.providers.registry import WebProviders
from octelium.authserver.site import Site
from octelium.authserver.workloads import Workloads
from octelium.cluster import host, private_plan, tls_secrets
from octelium.cluster.admin import CertificateRequest, InvitationRequest, local_app
from octelium.cluster.api import Api, Foundation
from octelium.cluster.authentication_log import AuthenticationLog
from octelium.cluster.bootstrap import (
    BootstrapError,
    add_administrator,
    awaits_first_token,
    bootstrap,
    first_token,
    save_first_token,
)
from octelium.cluster.certificates import CertificateError
from octelium.cluster.child import EXIT_UNUSABLE, Assignment
from octelium.cluster.containers import Containers, forget_all
from octelium.cluster.diagnosis import Diagnosis
from octelium.cluster.foreign import API_SERVER, foreign_networks
from octelium.cluster.front_door import FrontDoorProbe
from octelium.cluster.geolocation import Geolocation
from octelium.cluster.health import Health, health_app
from octelium.cluster.heard import GatewayState, WorkerStates
from octelium.cluster.layout import Layout
from octelium.cluster.memory import give_back
from octelium.cluster.probes import Asking
from octelium.cluster.provider_rules import LoginRules
from octelium.cluster.reasons import Reasons
from octelium.cluster.settings import Settings, from_wire
from octelium.cluster.signals import stop_signals
from octelium.cluster.web import WebServer
from octelium.controller.wire import TOPIC as CONTROLLER_TOPIC
from octelium.gateway.report import TOPIC as GATEWAY_TOPIC
from octelium.gateway.report import Report
from octelium.http.tasks import spawn
from octelium.identity.authentication import Authentication
from octelium.identity.authenticators.authenticators import Authenticators
from octelium.identity.authenticators.enforcement import AuthenticatorEnforcement
from octelium.identity.authenticators.relying_party import RelyingParty
from octelium.identity.client_logins import ClientLogins
from octelium.identity.devices import Devices
from octelium.identity.invitation_logins import InvitationLogins, Inviter
from octelium.identity.keys import Keyring
from octelium.identity.revocations import Revocations
from octelium.octovigil.rego.evaluator import Evaluator
from octelium.replica.committed import CommittedRevision
from octelium.replica.feed import CONTROLLER, FeedServer
from octelium.schema.errors import Invalid
from octelium.store.errors import StoreError
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from octelium.visibility.attempt_query import AuthenticationLogReader
from octelium.visibility.attempt_store import AttemptStore
from octelium.visibility.log_table import LogStoreError
from octelium.visibility.metrics import Registry
from octelium.visibility.query import AccessLogReader
from octelium.visibility.store import LogStore

if TYPE_CHECKING:
    from octelium.store.resources import Transaction

_LOG = logging.getLogger(__name__)
_PRUNE_EVERY = 600.0
_CONTROLLERS = 8
"""Connections to the controller's socket at a time."""
_FOLLOWERS = 4
"""Connections to the feed's socket that have not said yet what they are."""
_COUNTERS = 1 << 20
"""Bytes of what a worker tells of its counters."""


class Control:
    """Everything of the control process, put together."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._settings: Settings = from_wire(assignment.settings)
        self._layout = Layout(self._settings.data_dir)
        self._stack = contextlib.AsyncExitStack()
        self._no_tunnel = ""
        self._gateway = GatewayState()

    def _sockets(self, use: str) -> list[socket.socket]:
        return [socket.socket(fileno=number) for number in self._assignment.descriptors[use]]

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve until `stopped`."""
        async with self._stack:
            resources = await self._open_store()
            await bootstrap(resources, self._settings.domain, self._layout.ca)
            self._no_tunnel = await self._be_gateway(resources)
            await self._serve(resources)
            await stopped.wait()

    async def _be_gateway(self, resources: Resources) -> str:
        """Make this machine the Cluster's Gateway if it shall be; why it cannot be, or nothing.

        Raises:
            Invalid, StoreError: it cannot be, and was told to be.
        """
        settings = self._settings
        if settings.tunnel == "off":
            return ""
        try:
            plan = GatewayPlan(
                public_addresses=tuple(
                    choose_public_addresses(host.interfaces(), settings.told_addresses)
                ),
                port=settings.wireguard_listen.port,
                network_v4=settings.network_v4,
                network_v6=settings.network_v6,
                host_routes=tuple(host.routes()),
            )
            async with resources.transaction() as tx:
                prepare(tx, plan)
        except (Invalid, StoreError, OSError) as error:
            if settings.tunnel == "on":
                raise
            return str(error)
        return ""

    async def _open_store(self) -> Resources:
        directory = self._layout.store
        directory.mkdir(mode=0o700, exist_ok=True)
        store = await SqliteStore.open(directory)
        vault = Vault.load(directory, os.environ, create=await store.head() == 0)
        resources = Resources(store, vault)
        self._stack.push_async_callback(resources.close)
        await resources.load()
        return resources

    async def _serve(self, resources: Resources) -> None:
        settings, layout = self._settings, self._layout
        keyring = Keyring()
        keyring.follow(resources)
        rego = Evaluator()
        self._stack.callback(rego.close)
        committed = CommittedRevision(self._assignment.descriptors["committed"][0])
        log_store = LogStore(
            layout.logs,
            retention=settings.log_retention_days * 86400,
            capacity=settings.log_capacity_mb << 20,
        )
        self._stack.callback(log_store.close)
        attempts = AttemptStore(layout.logs, retention=settings.log_retention_days * 86400)
        self._stack.callback(attempts.close)
        authentications = AuthenticationLog(attempts)
        rules, locate = LoginRules(resources, rego), Geolocation(resources).locate
        authentication = Authentication(
            resources,
            keyring,
            rules=rules,
            enforcement=AuthenticatorEnforcement(rules),
            locate=locate,
            log=authentications,
        )
        revocations = Revocations(resources, authentication.tell)
        self._stack.callback(resources.subscribe(revocations.committed))
        registry, workers = Registry(), WorkerStates({}, settings.workers)
        stores = log_store, attempts, authentications
        feed = self._feed(resources, committed, stores, registry, workers)

        async def publish() -> None:
            """Commits reach the followers' sockets, then shared memory, as they are made."""

        authority = partial(tls_secrets.authority_in_use, resources)
        site = Site(settings.domain, settings.public_port, authority)
        has_gateway = settings.tunnel != "off" and not self._no_tunnel
        checks = {
            "workers": workers.trouble,
            "log": lambda: log_store.trouble or attempts.trouble,
        }
        if has_gateway:
            checks["gateway"] = lambda: self._gateway.check(feed.followers)
        containers = None
        if settings.controller == "on":
            foreign = partial(foreign_networks, resources, os.environ)
            containers = Containers(resources, foreign=foreign)
        diagnosis = Diagnosis(
            resources,
            feed,
            Asking(feed),
            workers=settings.workers,
            gateway=checks.get("gateway"),
            logs=checks["log"],
            controller=None if containers is None else containers.trouble,
            series=lambda: registry.processes,
            layout=layout,
        )
        health = Health(checks)
        metrics = partial(self._metrics, registry, resources, stores, containers)
        install = partial(self._install, resources)
        recover = partial(self._recover, resources, authentication)
        logs = AccessLogReader(log_store), AuthenticationLogReader(attempts)
        invitations = InvitationLogins(
            resources, keyring, authentication, site.origin, locate=locate
        )
        probe = FrontDoorProbe(resources, authentication, self._settings, health).send
        connections = ConnectService(resources, has_gateway=has_gateway)
        foundation = Foundation(
            resources,
            authentication,
            invitations,
            connections,
            *logs,
            rego,
            diagnosis,
            layout.logs,
            controller=(lambda: NOT_CONFIGURED) if containers is None else containers.controller,
        )
        api = Api(foundation, publish)
        self._stack.callback(api.close)
        portal = create_portal_app(site, resources, authentication, publish, api.opened)
        reasons = Reasons(authentication, api.explainer)
        fetcher = Fetcher()
        discoveries = Discoveries(fetcher)
        issuers = KeysOfIssuers(fetcher, discoveries)
        protocols = WebProviders(
            site, resources, fetcher, discoveries, issuers, github_url=settings.github_url
        )
        workloads = Workloads(site, resources, authentication, issuers)
        client_logins = ClientLogins(resources, keyring)
        party = RelyingParty(site.domain, site.origin)
        authenticators = Authenticators(
            resources, keyring, authentication, party, rules, locate=locate
        )
        web = create_app(
            site,
            resources,
            authentication,
            publish,
            reasons,
            protocols,
            client_logins,
            workloads,
            authenticators,
            invitations,
        )
        own_pages = BrowserPages(site.domain, site.origin, site.portal)
        service = auth.methods(
            AuthService(authentication, own_pages),
            AssertionService(workloads),
            AuthenticatorService(authenticators, own_pages),
            DeviceService(Devices(resources, keyring), own_pages),
        )
        sign_in = Binding(auth.DESCRIPTOR, service, auth.MAX_REQUEST_BYTES)
        auth_api = ApiServer([sign_in], publish=publish, limits=auth.LIMITS)
        await connections.start()
        # Written before anybody can read that the Cluster is ready.
        token = await self._first_token(resources, authentication)
        for server, path in (
            (api.server, layout.api),
            (auth_api, layout.auth_api),
            (api.lasting, layout.connect),
        ):
            server.listen(path)
            await server.start()
            self._stack.push_async_callback(server.stop, 0.2)
        # Before the server, which would cancel what this ends in order.
        self._stack.push_async_callback(connections.stop)
        for app, use in (
            (web, "auth"),
            (portal, "portal"),
            (local_app(install, recover, partial(self._invite, invitations), probe), "admin"),
            (health_app(health, metrics), "health"),
        ):
            pages = WebServer(app, self._sockets(use), name=f"web: {use}")
            pages.start()
            self._stack.push_async_callback(pages.stop)
        feed.start()
        self._stack.callback(feed.close)
        if containers is not None:
            self._listen_to_controller(resources, containers)
        else:
            await forget_all(resources)
        if has_gateway:
            ended = private_plan.follow(resources, self._sockets("link")[0], settings.engine)
            self._stack.push_async_callback(ended)
        await tls_secrets.issue_missing(resources, settings.domain)
        self._stack.callback(tls_secrets.follow(resources, settings.domain))
        janitor = Janitor(resources, time.time)
        janitor.start()
        self._stack.push_async_callback(janitor.stop)
        pruning = spawn(self._prune(log_store, attempts), name="log retention")
        self._stack.callback(pruning.cancel)
        self._stack.callback(spawn(give_back(), name="free memory").cancel)
        message: dict[str, Any] = {"ready": True}
        if self._no_tunnel:
            message["no_tunnel"] = self._no_tunnel
        if token:
            message["token"] = token
        self._assignment.tell(message)

    def _feed(
        self,
        resources: Resources,
        committed: CommittedRevision,
        stores: tuple[LogStore, AttemptStore, AuthenticationLog],
        registry: Registry,
        workers: WorkerStates,
    ) -> FeedServer:
        (listener,) = self._sockets("feed")
        settings = self._settings
        log_store, attempts, authentications = stores
        # Every process and the one after it, for a moment at the same time.
        most = 2 * (settings.workers + 1) + _FOLLOWERS
        feed = FeedServer(resources, listener, committed, most=most)
        names = {f"worker-{number}" for number in range(settings.workers)}

        def log(_worker: str, payload: bytes) -> None:
            log_store.append(payload)
            committed.unlogged = bool(log_store.trouble)

        def counters(worker: str, payload: bytes) -> None:
            if worker not in names or len(payload) > _COUNTERS:
                raise ValueError(f"{len(payload)} bytes of counters from {worker!r}")
            workers.heard[worker] = time.monotonic()
            registry.receive(worker, payload)
            log_store.recheck()
            attempts.recheck()
            authentications.settle()
            committed.unlogged = bool(log_store.trouble)

        def gateway(worker: str, payload: bytes) -> None:
            report = Report.decode(payload)
            self._gateway.tell(report.trouble)
            registry.update(worker, dict(report.series))

        feed.on(GATEWAY_TOPIC, gateway)
        feed.on("log", log)
        feed.on("counters", counters)
        return feed

    def _listen_to_controller(self, resources: Resources, containers: Containers) -> None:
        """Serve the process that deploys containers, at a socket where nobody can be anything else.

        No reader of the Cluster waits for it: its revision is nobody's but its own.
        """
        (listener,) = self._sockets("controller")
        committed = CommittedRevision.create()
        self._stack.callback(committed.close)
        apart = FeedServer(
            resources,
            listener,
            committed,
            roles=(CONTROLLER,),
            most=_CONTROLLERS,
            # In a Pod the controller is another container, and all that is in this one is not it.
            is_apart=bool(os.environ.get(API_SERVER)),
        )
        apart.on_reader(CONTROLLER_TOPIC, containers.receive)
        containers.start()
        self._stack.push_async_callback(containers.stop)
        apart.start()
        self._stack.callback(apart.close)

    async def _first_token(self, resources: Resources, authentication: Authentication) -> str:
        """The token of the first start, also where the settings want it saved; or nothing."""
        if not awaits_first_token(resources):
            return ""
        if path := os.environ.get("OCTELIUM_AUTH_TOKEN_SAVE_PATH"):
            return await save_first_token(resources, authentication, Path(path))
        return await first_token(resources, authentication)

    async def _install(self, resources: Resources, wanted: CertificateRequest) -> None:
        domain = self._settings.domain
        if wanted.domain not in ("", domain):
            raise CertificateError(f"this Cluster is {domain}, not {wanted.domain}")
        try:
            if wanted.pair is None:
                await tls_secrets.install_own(resources, domain, wanted.namespace)
                self._layout.ca.write_text(tls_secrets.authority_of(resources).chain)
            else:
                await tls_secrets.install(
                    resources, domain, wanted.namespace, wanted.pair, force=wanted.force
                )
        except StoreError as error:
            raise CertificateError(str(error)) from error

    async def _recover(
        self, resources: Resources, authentication: Authentication
    ) -> dict[str, str]:
        settings = self._settings
        return {
            "token": await first_token(resources, authentication),
            "domain": settings.domain,
            "endpoint": str(settings.listen[0].for_clients()),
            "ca": str(self._layout.ca),
        }

    @staticmethod
    async def _invite(
        invitations: InvitationLogins, wanted: InvitationRequest
    ) -> dict[str, str | int]:
        def before(tx: Transaction) -> None:
            if wanted.administrator:
                add_administrator(tx, wanted.user)

        invited = await invitations.invite(wanted.user, Inviter("octops/invite"), before=before)
        return {
            "url": invited.url,
            "expiresAt": invited.expires_at,
            "user": invited.user.name,
        }

    @staticmethod
    def _metrics(
        registry: Registry,
        resources: Resources,
        stores: tuple[LogStore, AttemptStore, AuthenticationLog],
        containers: Containers | None,
    ) -> str:
        log_store, attempts, authentications = stores
        own: dict[str, float] = {
            "octelium_store_revision": resources.revision,
            "octelium_log_write_failures_total": log_store.failures,
            "octelium_authentication_log_write_failures_total": attempts.failures,
            "octelium_authentication_log_unlisted_total": authentications.unlisted,
        }
        if containers is not None:
            own |= containers.series()
        registry.update("control", own)
        return registry.render()

    @staticmethod
    async def _prune(log_store: LogStore, attempts: AttemptStore) -> None:
        while True:
            log_store.prune()
            attempts.prune()
            await asyncio.sleep(_PRUNE_EVERY)


def run(assignment: Assignment) -> int:
    """Run the control process; its exit status."""

    async def main() -> None:
        async with stop_signals() as stopped:
            await Control(assignment).run(stopped)

    try:
        uvloop.run(main())
    except (BootstrapError, Invalid, StoreError, LogStoreError, OSError) as error:
        _LOG.debug("cannot start", exc_info=True)
        assignment.tell({"error": str(error)})
        return EXIT_UNUSABLE
    return 0
