"""user.v1: what every Session may ask, about itself and about what there is.

Listings are not filtered by policy: who may call this API sees the name of every Service that is
not hidden, whether or not it would be let in. What is hidden is answered as what does not exist.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc

from octelium.apiserver.connect.configs import service_configs
from octelium.apiserver.connect.connections import end
from octelium.apiserver.connect.requests import MOST_BYTES
from octelium.apiserver.connect.service import ConnectService
from octelium.apiserver.core.kinds.service import RULES as SERVICES
from octelium.apiserver.core.verbs import get, missing
from octelium.apiserver.lasting.call import Method
from octelium.apiserver.rpc import ApiError
from octelium.schema.errors import Invalid
from octelium.schema.names import HOST_LABEL, is_label
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from octelium.store.errors import NotFound, PermissionDenied
from octelium.store.metadata import Actor

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.apiserver.lasting.call import LastingCall
    from octelium.apiserver.rpc import Call
    from octelium.store.resources import Resources

DESCRIPTOR = user.DESCRIPTOR.services_by_name["MainService"]

_API = "user/v1"
# The enums of this API have the names and numbers of those of core.v1.
SESSION_END_TRAILER = "octelium-session-end-bin"
"""Trailer of GetStatus: a `google.protobuf.Timestamp`, after which the Session is over.

The official reply has no place for it.
"""
_UserType = user.GetStatusResponseUserSpecType__.GetStatusResponseUserSpecType
_SessionType = user.GetStatusResponseSessionStatusType__.GetStatusResponseSessionStatusType
_ServiceType = user.ServiceSpecType__.ServiceSpecType


class UserService:
    """The methods of user.v1."""

    def __init__(
        self,
        resources: Resources,
        connections: ConnectService | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resources = resources
        self._connections = connections or ConnectService(resources, clock=clock)

    async def get_status(
        self, _request: user.GetStatusRequest, call: Call
    ) -> user.GetStatusResponse:
        """Who the caller is, and where."""
        session = self._session(call)
        person = self._resources.peek(core.User, uid=session.status.user_ref.uid)
        if person is None:
            raise _gone()
        config = self._resources.get(core.ClusterConfig, name="default")
        reply = user.GetStatusResponse(domain=config.status.domain)
        about = reply.cluster.metadata
        about.SetInParent()
        about.display_name = config.metadata.display_name
        about.description = config.metadata.description

        reply.user.metadata.CopyFrom(_shown(person.metadata, "display_name", "pic_url"))
        reply.user.spec.SetInParent()
        reply.user.spec.email = person.spec.email
        reply.user.spec.type = _UserType.ValueType(person.spec.type)
        reply.user.status.SetInParent()

        own = reply.session
        own.metadata.CopyFrom(_shown(session.metadata, "pic_url"))
        if not own.metadata.pic_url:
            info = session.status.authentication.info
            own.metadata.pic_url = info.identity_provider.pic_url
        own.spec.SetInParent()
        own.status.SetInParent()
        own.status.type = _SessionType.ValueType(session.status.type)
        own.status.is_connected = session.status.is_connected
        call.trailers.append((SESSION_END_TRAILER, session.spec.expires_at.SerializeToString()))
        return reply

    async def list_namespace(
        self, request: user.ListNamespaceOptions, call: Call
    ) -> user.NamespaceList:
        """Every Namespace that is not hidden."""
        self._session(call)
        page = self._resources.page(core.Namespace, request.common, where=_is_visible)
        return user.NamespaceList(
            api_version=_API,
            kind="NamespaceList",
            items=[
                user.Namespace(
                    metadata=_described(namespace.metadata),
                    spec=user.NamespaceSpec(),
                    status=user.NamespaceStatus(),
                )
                for namespace in page.items
            ],
            list_response_meta=page.meta(),
        )

    async def list_service(self, request: user.ListServiceOptions, call: Call) -> user.ServiceList:
        """Every Service that is not hidden, of one Namespace or of one mode if asked."""
        person = self._session(call).status.user_ref.name
        by = {}
        if request.namespace:
            by["status.namespaceRef"] = self._namespace(request.namespace).metadata.uid

        def is_wanted(service: core.Service) -> bool:
            return _is_visible(service) and request.type in (0, service.spec.mode)

        page = self._resources.page(core.Service, request.common, by=by, where=is_wanted)
        return user.ServiceList(
            api_version=_API,
            kind="ServiceList",
            items=[_service(service, person) for service in page.items],
            list_response_meta=page.meta(),
        )

    async def get_service(self, request: meta.GetOptions, call: Call) -> user.Service:
        """One Service, by uid or by a name with or without its Namespace."""
        person = self._session(call).status.user_ref.name
        return _service(self._service(request), person)

    async def disconnect(
        self, _request: user.DisconnectRequest, call: Call
    ) -> user.DisconnectResponse:
        """End the tunnel of the caller's Session, if it has one."""
        _check_client(self._session(call))
        actor = Actor(call.session_ref, call.operation)
        async with self._resources.transaction(actor) as tx:
            session = tx.find(core.Session, uid=call.session_uid)
            if session is None:
                raise _gone()
            if end(session, tx.at):
                tx.update(session)
        return user.DisconnectResponse()

    async def set_service_configs(
        self, request: user.SetServiceConfigsRequest, call: Call
    ) -> user.SetServiceConfigsResponse:
        """Client configurations for a Service; they are for Sessions with a tunnel only."""
        session = self._session(call)
        if not session.status.is_connected:
            raise Invalid("", "this Session is not connected", "connect first")
        service = self._service(meta.GetOptions(name=request.name))
        return service_configs(self._resources, session, service)

    def lasting(self) -> list[Method]:
        """What `octelium.apiserver.lasting` serves."""
        path = f"/{DESCRIPTOR.full_name}/Connect"
        return [Method(path, user.ConnectRequest, self._connect, MOST_BYTES)]

    async def _connect(self, client: LastingCall, call: Call) -> None:
        """Connect the caller's Session to the private network, for as long as the stream lasts."""
        _check_client(self._session(call))
        call.metadata = {}  # many may wait for their turn
        await self._connections.connect(client, call)

    def _session(self, call: Call) -> core.Session:
        """The caller's Session, shared: not to be written to."""
        session = self._resources.peek(core.Session, uid=call.require_session())
        if session is None:
            raise _gone()
        return session

    def _namespace(self, name: str) -> core.Namespace:
        if not is_label(name):
            raise Invalid("namespace", f"{name[:64]!r} is not the name of a Namespace")
        namespace = self._resources.peek(core.Namespace, name=name)
        if namespace is None or not _is_visible(namespace):
            raise NotFound(f"Namespace {name} does not exist")
        return namespace

    def _service(self, options: meta.GetOptions) -> core.Service:
        try:
            service: core.Service = get(self._resources, SERVICES, options)
        except PermissionDenied:
            raise missing(SERVICES, options) from None
        if not _is_visible(service):
            raise missing(SERVICES, options)
        return service


def _gone() -> ApiError:
    """The caller's Session or User was deleted since the call was let through."""
    return ApiError(grpc.StatusCode.UNAUTHENTICATED, "Unauthenticated User")


def _check_client(session: core.Session) -> None:
    if session.status.type != core.SessionStatusType__.CLIENT:
        raise Invalid(
            "", "only a Session of type CLIENT can have a tunnel", "sign in with `octelium login`"
        )


def _is_visible(resource: Any) -> bool:
    metadata = resource.metadata
    return not (metadata.is_system_hidden or metadata.is_user_hidden)


def _shown(metadata: meta.Metadata, *more: str) -> meta.Metadata:
    fields = ("uid", "name", *more)
    return meta.Metadata(**{field: getattr(metadata, field) for field in fields})


def _described(metadata: meta.Metadata) -> meta.Metadata:
    return _shown(metadata, "display_name", "description")


def _service(service: core.Service, person: str) -> user.Service:
    """As a User sees it, with the label that this User serves it, if so."""
    status = service.status
    metadata, label = _described(service.metadata), f"{HOST_LABEL}{person}"
    if label in service.metadata.spec_labels:
        metadata.spec_labels[label] = service.metadata.spec_labels[label]
    addresses = [
        text
        for address in status.addresses
        for text in (address.dual_stack_ip.ipv4, address.dual_stack_ip.ipv6)
        if text
    ]
    return user.Service(
        metadata=metadata,
        spec=user.ServiceSpec(
            port=status.port,
            type=_ServiceType.ValueType(service.spec.mode),
            is_tls=service.spec.is_tls,
            is_public=service.spec.is_public,
        ),
        status=user.ServiceStatus(
            namespace=status.namespace_ref.name,
            addresses=addresses,
            primary_hostname=status.primary_hostname,
        ),
    )
