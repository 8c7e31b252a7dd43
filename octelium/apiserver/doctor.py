"""ext.v1 `CheckConnection` and `Diagnose`: what a doctor on another machine cannot see itself.

Every Session may check its connection: it learns the time, and whether traffic flows through the
gateway, which it can try anyway. A diagnosis shows Services and their upstreams, so beside the
right to the method itself it takes the right to list Services; and it asks those upstreams alone
that Services declare.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from octelium.apiserver.insight.rights import Rights, core_method
from octelium.schema.names import full_service_name
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.apiserver.rpc import Authorize, Call
    from octelium.store.resources import Resources


class Diagnostician(Protocol):
    """Looks at the Cluster's processes and what they need."""

    def gateway_trouble(self) -> str | None:
        """Why no traffic flows; empty while it does, None if the Cluster has no gateway."""

    async def diagnose(self, services: Sequence[core.Service]) -> list[ext.DiagnosedPart]:
        """Every part, and the upstreams of these Services. Never raises for what is broken."""


class DoctorService:
    """Answers the two methods. One diagnosis is made at a time."""

    def __init__(
        self,
        resources: Resources,
        diagnostician: Diagnostician,
        authorize: Authorize,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resources = resources
        self._diagnostician = diagnostician
        self._authorize = authorize
        self._clock = clock
        self._busy = False

    async def check_connection(self, call: Call) -> ext.CheckConnectionResponse:
        """What the caller's tunnel needs of the Cluster.

        Raises:
            ApiError: The caller has no Session.
        """
        session = self._resources.peek(core.Session, uid=call.require_session())
        trouble = self._diagnostician.gateway_trouble()
        reply = ext.CheckConnectionResponse(
            has_gateway=trouble is not None,
            trouble=trouble or "",
            is_connected=session is not None and session.status.is_connected,
        )
        reply.now.FromNanoseconds(int(self._clock() * 1e9))
        if session is not None:
            reply.session_ends_at.CopyFrom(session.spec.expires_at)
        return reply

    async def diagnose(self, request: ext.DiagnoseRequest, call: Call) -> ext.DiagnoseResponse:
        """All parts of the Cluster, and the upstream of one Service or of all.

        Raises:
            ApiError: The caller may not see all of that.
            NotFound: There is no such Service.
            Unavailable: Another diagnosis is under way.
        """
        call.require_session()
        await Rights(self._authorize, call).require([core_method("List", "Service")])
        services = self._resources.peek_all(core.Service)
        if request.service:
            wanted = full_service_name(request.service)
            services = [each for each in services if each.metadata.name == wanted]
            if not services:
                raise NotFound(f"core.v1.Service {wanted} does not exist")
        if self._busy:
            raise Unavailable("another diagnosis is under way: try again when it is done")
        self._busy = True
        try:
            parts = await self._diagnostician.diagnose(services)
        finally:
            self._busy = False
        reply = ext.DiagnoseResponse(parts=parts)
        reply.now.FromNanoseconds(int(self._clock() * 1e9))
        return reply
