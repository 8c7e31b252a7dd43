"""ext.v1.MainService: what the official API lacks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from octelium.identity.invitation_logins import Inviter
from octelium.identity.sessions import Downstream
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from octelium.apiserver.apply.applier import Applier
    from octelium.apiserver.containers import ContainerService
    from octelium.apiserver.doctor import DoctorService
    from octelium.apiserver.insight.access import AccessLister
    from octelium.apiserver.insight.explaining import Explainer
    from octelium.apiserver.rpc import Call
    from octelium.apiserver.watch.watcher import WatchService
    from octelium.identity.invitation_logins import InvitationLogins

DESCRIPTOR = ext.DESCRIPTOR.services_by_name["MainService"]
MAX_REQUEST_BYTES = 16 << 20


class AccessLogReader(Protocol):
    """Answers queries from the access log."""

    def query(self, request: ext.ListAccessLogRequest) -> ext.ListAccessLogResponse:
        """Entries, newest first.

        Raises:
            StoreError: The request names an unknown decision, reason or id.
        """

    def follow(self, request: ext.ListAccessLogRequest) -> AsyncIterator[ext.ListAccessLogResponse]:
        """Entries as they are written, oldest first, without end.

        Raises:
            StoreError: As `query`.
        """


class AuthenticationLogReader(Protocol):
    """Answers queries from the authentication log."""

    def query(self, request: ext.ListAuthenticationLogRequest) -> ext.ListAuthenticationLogResponse:
        """Entries, newest first.

        Raises:
            StoreError: The request names an unknown outcome or id.
        """

    def follow(
        self, request: ext.ListAuthenticationLogRequest
    ) -> AsyncIterator[ext.ListAuthenticationLogResponse]:
        """Entries as they are written, without end.

        Raises:
            StoreError: As `query`.
        """


class ExtService:
    """Transactional apply, the logs, what decisions are made of, and what else there is to see."""

    def __init__(
        self,
        applier: Applier,
        log: AccessLogReader,
        explainer: Explainer,
        access: AccessLister,
        authentications: AuthenticationLogReader,
        invitations: InvitationLogins,
        doctor: DoctorService,
        watches: WatchService,
        containers: ContainerService,
    ) -> None:
        self._applier = applier
        self._log = log
        self._explainer = explainer
        self._access = access
        self._authentications = authentications
        self._invitations = invitations
        self._doctor = doctor
        self._watches = watches
        self._containers = containers

    async def apply(self, request: ext.ApplyRequest, call: Call) -> ext.ApplyResponse:
        """Apply all resources of the request, or none."""
        return await self._applier.apply(request, call)

    async def list_access_log(
        self, request: ext.ListAccessLogRequest, call: Call
    ) -> ext.ListAccessLogResponse:
        """A page of the access log; one entry that is asked for by its id comes explained."""
        call.require_session()
        # A search through much of the log takes long; other calls must not wait for it.
        reply = await asyncio.to_thread(self._log.query, request)
        if request.id:
            for detail in reply.details:
                detail.explanation = await self._explainer.in_words(request.id, call)
        return reply

    async def watch_access_log(
        self, request: ext.ListAccessLogRequest, call: Call
    ) -> AsyncIterator[ext.ListAccessLogResponse]:
        """The access log as it grows."""
        call.require_session()
        async for entries in self._log.follow(request):
            yield entries

    async def list_authentication_log(
        self, request: ext.ListAuthenticationLogRequest, call: Call
    ) -> ext.ListAuthenticationLogResponse:
        """A page of the authentication log."""
        call.require_session()
        return await asyncio.to_thread(self._authentications.query, request)

    async def watch_authentication_log(
        self, request: ext.ListAuthenticationLogRequest, call: Call
    ) -> AsyncIterator[ext.ListAuthenticationLogResponse]:
        """The authentication log as it grows."""
        call.require_session()
        async for entries in self._authentications.follow(request):
            yield entries

    async def explain(self, request: ext.ExplainRequest, call: Call) -> ext.Explanation:
        """Why a request is decided as it is."""
        return await self._explainer.explain(request, call)

    async def list_access(
        self, request: ext.ListAccessRequest, call: Call
    ) -> ext.ListAccessResponse:
        """Which Users may open which Services."""
        return await self._access.list_access(request, call)

    async def preview_access(
        self, request: ext.PreviewAccessRequest, call: Call
    ) -> ext.PreviewAccessResponse:
        """What an apply would change in that."""
        return await self._access.preview_access(request, call)

    async def invite(self, request: ext.InviteRequest, call: Call) -> ext.InviteResponse:
        """A link by which a person registers a passkey."""
        invited = await self._invitations.invite(request.user, _inviter(call))
        reply = ext.InviteResponse(url=invited.url, user=invited.user)
        reply.expires_at.seconds = invited.expires_at
        return reply

    async def delete_invitation(
        self, request: ext.DeleteInvitationRequest, call: Call
    ) -> ext.DeleteInvitationResponse:
        """Make such a link void."""
        deleted = await self._invitations.revoke(request.user, _inviter(call))
        return ext.DeleteInvitationResponse(deleted=deleted)

    async def check_connection(
        self,
        request: ext.CheckConnectionRequest,  # noqa: ARG002  (it holds nothing)
        call: Call,
    ) -> ext.CheckConnectionResponse:
        """What the caller's tunnel needs of the Cluster."""
        return await self._doctor.check_connection(call)

    async def diagnose(self, request: ext.DiagnoseRequest, call: Call) -> ext.DiagnoseResponse:
        """What works in the Cluster, and what does not."""
        return await self._doctor.diagnose(request, call)

    def watch(self, request: ext.WatchRequest, call: Call) -> AsyncGenerator[bytes]:
        """Resources as they change, encoded already."""
        return self._watches.watch(request, call)

    async def list_containers(
        self, request: ext.ListContainersRequest, call: Call
    ) -> ext.ListContainersResponse:
        """How the containers of Services are."""
        return await self._containers.list_containers(request, call)


def _inviter(call: Call) -> Inviter:
    uid = call.require_session()
    session = meta.ObjectReference()
    if call.session_ref is not None:
        session.CopyFrom(call.session_ref)
    session.uid = uid
    return Inviter(call.operation, session, Downstream(call.user_agent, call.client_address))
