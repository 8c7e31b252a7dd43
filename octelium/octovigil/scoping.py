"""Scopes of a Session: what it may do at most, whatever its Policies allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.identity.scopes import ApiCall, covers
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.octovigil.triggers import Parties
    from octelium.policy.request import Path
    from octelium.replica.replica import ServiceEntry, SessionEntry

READS: Final[tuple[Path, ...]] = (
    ("grpc", "package"),
    ("grpc", "service"),
    ("grpc", "method"),
)
"""What the scopes of API calls look at below `ctx.request`."""

_API_TYPE: Final = "apiserver"
_API_NAMESPACE: Final = "octelium-api"


def covers_service(session: SessionEntry, service: ServiceEntry) -> bool:
    """Whether the Session may use the Service as a whole; a Session without scopes may."""
    return not session.scopes or covers(session.scopes, service.name, service.namespace_name)


def depends_on_call(service: ServiceEntry) -> bool:
    """Whether scopes may cover single gRPC calls of the Service: it is one of the Cluster's API."""
    return (
        service.mode == core.ServiceSpecMode__.GRPC
        and service.managed_type == _API_TYPE
        and service.namespace_name == _API_NAMESPACE
    )


def covers_call(parties: Parties, request: Mapping[str, Any] | None) -> bool:
    """Whether the Session may make the gRPC call that `ctx.request` describes."""
    session, service = parties.session, parties.service
    grpc = (request or {}).get("grpc")
    if session is None or not isinstance(grpc, dict):
        return False
    package, name, method = (grpc.get(part) for part in ("package", "service", "method"))
    if type(package) is not str or type(name) is not str or type(method) is not str:
        return False
    call = ApiCall(package, name, method)
    return covers(session.scopes, service.name, service.namespace_name, call)
