"""gRPC as the API rooms see it; `octelium.apiserver.server` serves it.

A service is an object whose methods carry the snake_case name of their RPC
(`async def create_user(self, request: core.User, call: Call) -> core.User`), or a mapping from such
names to callables. Which RPCs exist, their message types and whether they stream is read from the
descriptors, so nothing is generated; an RPC without a method answers UNIMPLEMENTED.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import grpc
import grpc.aio
from google.protobuf import json_format

from octelium.identity.errors import AuthenticationError
from octelium.schema.errors import Invalid, InvalidDocuments
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

_LOG = logging.getLogger(__name__)

_MAX_METADATA = 64 << 10
_MAX_STREAMS = 1024
_MAX_PENDING = 3000
"""Calls that wait to be looked at: gRPC's own upper limit."""
INTERNAL_ERROR = "Internal error"
"""What a caller is told of what went wrong here."""
MAX_STATUS_TEXT = 3000
"""Characters; a status travels in a header field and peers cap those at 8 KiB."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What all callers of one server may take together.

    Services that anybody may call get a server, a socket and limits of their own, so that nobody
    keeps others from the rest of the API.
    """

    calls: int = 1024
    """Calls at a time; more are refused at once, to be tried again."""
    lasting: int = 0
    """Beside them, calls at a time of the RPCs that a binding calls `lasting`."""
    waiting: int = 512
    """Of these, calls whose request has not arrived. The longest silent one makes room."""
    seconds: float = 60.0
    """In which a request must have arrived."""
    message_bytes: int = 20 << 20
    """Largest message that is read. More than any binding allows, because gRPC itself refuses
    what is larger with RESOURCE_EXHAUSTED, and official clients send such a request again."""

    def options(self) -> list[tuple[str, int]]:
        """As options of a gRPC server.

        Compressed messages are refused: no official client sends any, and their size is only
        known when they have been unpacked.
        """
        return [
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", _MAX_METADATA),
            ("grpc.absolute_max_metadata_size", _MAX_METADATA),
            ("grpc.max_concurrent_streams", _MAX_STREAMS),
            # From the first on gRPC cancels calls by chance, without a word of what they may do.
            ("grpc.server.max_pending_requests", _MAX_PENDING),
            ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            # The only client is the proxy, and streams may be silent for long.
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.so_reuseport", 0),
            ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
        ]


_IDENTITY_ONLY = 1 << grpc.Compression.NoCompression


class ApiError(Exception):
    """A refusal with the gRPC status and the text that the caller shall see."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Call:
    """One call: who makes it, and what the reply carries beside its message."""

    path: str
    """`/package.Service/Method`."""
    session_uid: str = ""
    """The caller's Session; empty when the proxy let an anonymous call through."""
    session_ref: meta.ObjectReference | None = None
    request_path: str = ""
    """Path of the request as the proxy saw it."""
    origin: str = ""
    """The browser's `Origin`, if any."""
    client_address: str = ""
    refresh_token: str = ""
    user_agent: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """All textual request metadata by lower-case name, the last of each."""
    set_cookies: list[str] = field(default_factory=list)
    """`set-cookie` values for the reply's header, kept on failures too."""
    trailers: list[tuple[str, str | bytes]] = field(default_factory=list)

    @property
    def operation(self) -> str:
        """The form in which `metadata.actorOperation` names the call."""
        return self.path.removeprefix("/")

    def require_session(self) -> str:
        """The uid of the caller's Session.

        Raises:
            ApiError: UNAUTHENTICATED, if the proxy vouched for none.
        """
        if not self.session_uid:
            raise ApiError(grpc.StatusCode.UNAUTHENTICATED, "Unauthenticated User")
        return self.session_uid


def call_of(path: str, metadata: Mapping[str, str]) -> Call:
    """The call that the proxy's metadata tells of, with lower-case names."""
    call = Call(
        path=path,
        request_path=metadata.get("x-octelium-req-path", ""),
        origin=metadata.get("x-octelium-origin", ""),
        client_address=metadata.get("x-octelium-client-address", ""),
        refresh_token=metadata.get("x-octelium-refresh-token", ""),
        user_agent=metadata.get("user-agent", ""),
        metadata=metadata,
    )
    try:
        call.session_ref = _reference(metadata.get("x-octelium-session-ref", ""))
    except json_format.ParseError:
        # Without both halves there is no caller: what needs one refuses.
        _LOG.exception("%s: the proxy sent an unreadable reference to the Session", call.operation)
    else:
        call.session_uid = metadata.get("x-octelium-session-uid", "")
    return call


def _reference(text: str) -> meta.ObjectReference | None:
    if not text:
        return None
    return json_format.Parse(text, meta.ObjectReference(), ignore_unknown_fields=True)


class Publish(Protocol):
    """Makes what the call committed known to the readers of the store, before the reply leaves."""

    async def __call__(self) -> None:
        """Return once every reader can tell that it must catch up."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A gRPC service and what implements it."""

    descriptor: ServiceDescriptor
    implementation: object
    max_request_bytes: int = 4 << 20
    lasting: frozenset[str] = frozenset()
    """RPCs whose calls may last for days. They are counted by themselves: others keep places."""


def method_path(method: MethodDescriptor) -> str:
    """`/package.Service/Method`."""
    return f"/{method.containing_service.full_name}/{method.name}"


def method_name(rpc: str) -> str:
    """The Python name of an RPC: `ListIdentityProvider` is `list_identity_provider`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", rpc).lower()


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """The status that tells a caller about `error`; what is unexpected stays inside."""
    match error:
        case ApiError():
            return error.code, error.message
        case Invalid() | InvalidDocuments():
            return grpc.StatusCode.INVALID_ARGUMENT, str(error)
        case AuthenticationError():
            return grpc.StatusCode[error.code], error.answer
        case StoreError():
            code = grpc.StatusCode.__members__.get(error.code)
            if code is None or code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
                return grpc.StatusCode.INTERNAL, INTERNAL_ERROR
            return code, str(error)
        case _:
            return grpc.StatusCode.INTERNAL, INTERNAL_ERROR


class Authorize(Protocol):
    """Decides an operation of a call as if it were a call of its own."""

    async def __call__(self, call: Call, method: str) -> bool:
        """Whether the caller may call `/package.Service/Method`, scopes included."""
