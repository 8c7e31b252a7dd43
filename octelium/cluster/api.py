"""The Cluster's API put together: its services, what they need of each other, and its servers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.apiserver.apply.applier import Applier
from octelium.apiserver.containers import ContainerService
from octelium.apiserver.core.service import CoreService
from octelium.apiserver.core.verbs import Verbs
from octelium.apiserver.doctor import DoctorService
from octelium.apiserver.ext import MAX_REQUEST_BYTES, ExtService
from octelium.apiserver.insight.access import AccessLister
from octelium.apiserver.insight.explaining import Explainer
from octelium.apiserver.lasting.server import LastingServer
from octelium.apiserver.rpc import Binding, Limits
from octelium.apiserver.server import ApiServer
from octelium.apiserver.user import UserService
from octelium.apiserver.watch.watcher import MOST as MOST_WATCHES
from octelium.apiserver.watch.watcher import WatchService
from octelium.cluster.authorization import OperationAuthorizer
from octelium.cluster.insight import Insight
from octelium.cluster.portal_access import PortalAccess
from octelium.cluster.seeding import unedited
from octelium.identity.tokens import Verifier
from octelium.octovigil.octovigil import Octovigil
from octelium.policy.checker import Checker
from octelium.replica.feed import LocalFeed
from octelium.replica.replica import Replica
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.apiserver.connect.service import ConnectService
    from octelium.apiserver.core.deployment import AskController
    from octelium.apiserver.rpc import Publish
    from octelium.cluster.diagnosis import Diagnosis
    from octelium.identity.authentication import Authentication
    from octelium.identity.invitation_logins import InvitationLogins
    from octelium.octovigil.rego.evaluator import Evaluator
    from octelium.store.resources import Resources
    from octelium.visibility.attempt_query import AuthenticationLogReader
    from octelium.visibility.query import AccessLogReader

_MAX_CONNECTED: Final = 16_384
"""Connect streams at a time."""
_LASTING: Final = frozenset({"Watch"})


@dataclass(frozen=True, slots=True)
class Foundation:
    """What the API stands on."""

    resources: Resources
    authentication: Authentication
    invitations: InvitationLogins
    connections: ConnectService
    log: AccessLogReader
    authentications: AuthenticationLogReader
    rego: Evaluator
    diagnosis: Diagnosis
    log_path: Path
    controller: AskController
    """How what deploys the Cluster's containers is."""


class Api:
    """The API, with a replica of its own to decide on."""

    def __init__(self, of: Foundation, publish: Publish) -> None:
        self._stack = contextlib.ExitStack()
        resources = of.resources
        replica = Replica()
        local = LocalFeed(resources, replica)
        local.start()
        self._stack.callback(local.close)
        octovigil = Octovigil(replica, Verifier({}), rego=of.rego)
        authorize = OperationAuthorizer(replica, octovigil)
        verbs = Verbs(Checker())
        core_service = CoreService(
            resources,
            verbs,
            of.authentication.generate_token,
            authorize,
            controller=of.controller,
        )
        insight = Insight(replica, of.log_path, of.rego)
        self._stack.callback(insight.close)
        self.explainer = Explainer(resources, insight, of.log, authorize)
        applier = Applier(resources, verbs, authorize, unedited, controller=of.controller)
        ext_service = ExtService(
            applier,
            of.log,
            self.explainer,
            AccessLister(resources, insight, applier, authorize),
            of.authentications,
            of.invitations,
            DoctorService(resources, of.diagnosis, authorize),
            WatchService(resources, authorize),
            ContainerService(resources, authorize, of.controller),
        )
        users = UserService(resources, of.connections)
        services: list[tuple[Any, object, int]] = [
            (core, core_service.methods(), 4 << 20),
            (user, users, 4 << 20),
            (ext, ext_service, MAX_REQUEST_BYTES),
        ]
        bindings = [
            Binding(
                package.DESCRIPTOR.services_by_name["MainService"],
                service,
                limit,
                lasting=_LASTING,
            )
            for package, service, limit in services
        ]
        self.opened = PortalAccess(lambda: resources.revision, replica, insight)
        """What the Portal shows: the Services that somebody may open."""
        self._stack.callback(self.opened.close)
        self.server = ApiServer(bindings, publish=publish, limits=Limits(lasting=MOST_WATCHES))
        self.lasting = LastingServer(users.lasting(), _MAX_CONNECTED)

    def close(self) -> None:
        """Decide and explain nothing any more; the servers are stopped by themselves."""
        self._stack.close()
