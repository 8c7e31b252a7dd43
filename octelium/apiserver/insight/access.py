"""ext.v1 `ListAccess` and `PreviewAccess`: who may do what, and what a change would do to that.

Both show verdicts for Users, their Sessions and Services, the rules that make them and what these
still ask of a request. They take the rights to list all kinds that decisions are made of and to get
the ClusterConfig, from which all of that can be worked out. A preview carries resources of the
caller's and evaluates their expressions: it takes whatever the apply that it previews takes, and
with logged requests the right to list the access log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.apiserver.insight.rights import LIST_ACCESS_LOG, PARTIES, Rights, core_method
from octelium.schema.errors import Invalid
from octelium.schema.names import full_service_name
from octelium.store.errors import NotFound

if TYPE_CHECKING:
    from octelium.apiserver.apply.applier import Applier
    from octelium.apiserver.insight.engine import AccessEngine, Hypothesis
    from octelium.apiserver.rpc import Authorize, Call
    from octelium.schema.pb import ext_v1_pb2 as ext
    from octelium.store.resources import Resources
    from octelium.store.transaction import Transaction

MAX_LOGGED_REQUESTS: Final = 100_000
"""Requests of the access log that one preview decides again at most."""


class AccessLister:
    """Answers questions about many decisions at once."""

    def __init__(
        self, resources: Resources, engine: AccessEngine, applier: Applier, authorize: Authorize
    ) -> None:
        self._resources = resources
        self._engine = engine
        self._applier = applier
        self._authorize = authorize

    async def list_access(
        self, request: ext.ListAccessRequest, call: Call
    ) -> ext.ListAccessResponse:
        """What new Sessions of Users may do with Services.

        Raises:
            ApiError: The caller may not see all of that.
            NotFound: There is no such User or Service.
        """
        asker = call.require_session()
        await Rights(self._authorize, call).require(_listing())
        service = full_service_name(request.service) if request.service else ""
        for kind, name in (("User", request.user), ("Service", service)):
            if name and self._resources.peek(kind, name=name) is None:
                raise NotFound(f"core.v1.{kind} {name} does not exist")
        return await self._engine.list_access(request.user, service, asker=asker)

    async def preview_access(
        self, request: ext.PreviewAccessRequest, call: Call
    ) -> ext.PreviewAccessResponse:
        """What an apply would change in that, and in the decisions on logged requests.

        Raises:
            ApiError: The caller may not see all of that, or may not apply this.
            Invalid: There is nothing to apply, or too many logged requests are asked for.
        """
        asker = call.require_session()
        if not request.HasField("apply"):
            raise Invalid("apply", "there is nothing to preview", "give resources")
        if request.logged_requests > MAX_LOGGED_REQUESTS:
            problem = f"{request.logged_requests} are too many"
            raise Invalid("loggedRequests", problem, f"at most {MAX_LOGGED_REQUESTS}")
        needed = _listing()
        if request.logged_requests:
            needed.append(LIST_ACCESS_LOG)
        await Rights(self._authorize, call).require(needed)
        found: list[Hypothesis] = []

        def look(tx: Transaction) -> None:
            found.append(self._engine.suppose(tx))

        await self._applier.apply(request.apply, call, look=look)
        return await self._engine.preview_access(
            found[-1], logged_requests=request.logged_requests, asker=asker
        )


def _listing() -> list[str]:
    return [
        *(core_method("List", kind) for kind in (*PARTIES, "Policy")),
        core_method("Get", "ClusterConfig"),
    ]
