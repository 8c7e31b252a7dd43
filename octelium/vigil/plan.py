"""A Service as Vigil serves it: everything that does not depend on the single request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.service_settings import allows_cross_origin
from octelium.vigil.configuration import (
    Configuration,
    compile_configuration,
    managed_configuration,
)
from octelium.vigil.cookie_guard import CookieGuard
from octelium.vigil.cors import Cors, api_cors
from octelium.vigil.errors import Unserviceable, not_offered
from octelium.vigil.modes import MODES, Mode
from octelium.vigil.own_names import OwnNames
from octelium.vigil.refusals import Site
from octelium.vigil.tunnel_guard import TunnelGuard

if TYPE_CHECKING:
    from octelium.policy.decision import Decision
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.environment import Environment

_MAX_CONFIGURATIONS: Final = 256
_PATH_LABEL: Final = "apiserver-path"
_API_LABEL: Final = "octelium-apiserver"
_API_HOST: Final = "octelium-api"
_PORTAL: Final = "portal"
_LOGIN_TYPE: Final = "authserver"


class Plan:
    """One version of a Service, with the Secrets as they were when it was made."""

    def __init__(self, entry: ServiceEntry, environment: Environment) -> None:
        service = entry.message
        self.entry = entry
        self.environment = environment
        self.disabled = service.spec.is_disabled
        self.public = service.spec.is_public
        self.host = environment.canonical_host(service)
        self.public_host = environment.public_host(service)
        self.managed = service.status.HasField("managed_service")
        self.keeps_queries = entry.managed_type != _LOGIN_TYPE
        """Whether the log remembers queries: those of logins hold codes, and no rule reads them."""
        label = service.metadata.system_labels.get(_PATH_LABEL, "")
        self._prefixes = tuple(p.encode() for part in label.split(",") if (p := part.strip()))
        mode = MODES.get(int(service.spec.mode))
        self.problem: Unserviceable | None = None
        if mode is None:
            name = core.ServiceSpecMode__.ServiceSpecMode.Name(service.spec.mode)
            self.problem = not_offered(f"mode {name}")
            mode = MODES[core.ServiceSpecMode__.HTTP]
        self.mode: Mode = mode
        self.api = self.managed and mode is MODES[core.ServiceSpecMode__.GRPC]
        """Whether it is part of the Cluster's API, which two of its own pages call too."""
        self.cross_origin = mode.cors or self.api
        """Whether browsers may ask from other origins, as far as `cors` allows."""
        login = environment.url(environment.domain)
        pages = (login, environment.url(f"{_PORTAL}.{environment.domain}")) if self.api else None
        self.cors = Cors(
            None if pages is None else api_cors(pages), domain=environment.domain, own=not self.api
        )
        default = service.spec.config
        if default.http.HasField("cors") and not self.api:
            try:
                self.cors = Cors(default.http.cors, domain=environment.domain)
            except Unserviceable as problem:
                self.problem = problem
        cross_origin = not self.managed and allows_cross_origin(service.spec)
        self.cookies = CookieGuard(self.cors, pages, cross_origin=cross_origin)
        labels = service.metadata.system_labels
        aliases = (f"{_API_HOST}.{environment.domain}",) if labels.get(_API_LABEL) else ()
        self.guard = TunnelGuard(
            OwnNames(service.metadata.name, environment.domain, entry.addresses, aliases), self.cors
        )
        public = environment.url(self.public_host) if self.public else None
        self.sites = {front: Site(login, public, front) for front in (True, False)}
        """By whether the client came through the front door."""
        self._configurations: dict[int, tuple[core.ServiceSpecConfig | None, Configuration]] = {}

    def serves(self, path: bytes) -> bool:
        """Whether a path belongs to this Service.

        Several API Services stand before one server: what one of them allows must not reach the
        methods of another.
        """
        if not self._prefixes:
            return True
        return any(
            path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b".", b"/")
            for prefix in self._prefixes
        )

    def configuration(self, decision: Decision) -> Configuration:
        """The configuration that a decision selected."""
        config = decision.config
        # Decisions share the message of their configuration, so its identity names it; it is
        # kept beside the result so that the identity stays its own.
        known = self._configurations.get(id(config))
        if known is not None:
            return known[1]
        if len(self._configurations) >= _MAX_CONFIGURATIONS:
            self._configurations.clear()
        result = self._compile(config)
        self._configurations[id(config)] = (config, result)
        return result

    def _compile(self, config: core.ServiceSpecConfig | None) -> Configuration:
        service = self.entry.message
        if self.managed:
            return managed_configuration(
                service, self.environment, grpc=service.spec.mode == core.ServiceSpecMode__.GRPC
            )
        if config is None:
            result = Configuration()
            result.problem = Unserviceable("the Service has no configuration", 502)
            return result
        return compile_configuration(service, config, self.environment)
