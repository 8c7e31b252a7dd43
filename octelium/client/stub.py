"""Calls of one gRPC service, typed by its descriptor, with deadlines and a few retries."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from octelium.client.errors import ApiError, is_unknown_authority, unknown_authority

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
    from google.protobuf.message import Message

DEADLINE = 30.0
PAUSES = (0.1, 0.4, 1.0)
"""Seconds before the second, third and fourth attempt."""
_NOT_REPEATABLE = ("Create", "Delete", "Register", "Generate")
_DOCTOR = "octelium doctor tells which link is broken"
_TIMES = {
    "certificate has expired": "the server's certificate has expired",
    "certificate is not yet valid": "the server's certificate is not valid yet",
}
"""What OpenSSL says of a certificate's time, and what a person is told."""
_UNKNOWN_NAME = re.compile(r"(?:errors resolving|resolution failed for) ([^\s:\[]+)", re.IGNORECASE)
_NEVER_SENT = ("failed to connect", "errors resolving", "dns resolution failed")
_BROKE_OFF = (
    "stream removed",
    "socket closed",
    "goaway",
    "connection reset",
    "broken pipe",
    "connection closed",
    "recvmsg",
    "sendmsg",
    "keepalive",
)
"""What grpc says of a connection that ends, rather than the Cluster of a call."""

Metadata = Sequence[tuple[str, str]]


class Stub:
    """One service of the API."""

    def __init__(
        self,
        channel: grpc.Channel,
        service: ServiceDescriptor,
        *,
        sleep: Callable[[float], None] = time.sleep,
        domain: str = "",
    ) -> None:
        self._domain = domain
        self._channel = channel
        self._service = service
        self._sleep = sleep

    def input(self, method: str) -> type[Message]:
        """The class of a method's request."""
        return GetMessageClass(self._service.methods_by_name[method].input_type)

    def has(self, method: str) -> bool:
        """Whether the service has a method of that name."""
        return method in self._service.methods_by_name

    def call(
        self,
        method: str,
        request: Message,
        metadata: Metadata = (),
        *,
        deadline: float = DEADLINE,
        trailers: dict[str, bytes] | None = None,
    ) -> Any:
        """Make a unary call and return its reply; `deadline` in seconds for each attempt.

        `trailers` is given the binary metadata that comes after the reply.

        What could not be delivered (`UNAVAILABLE`) is tried again a few times, unless the call may
        have had an effect that a second one would spoil. Everything else is final. Raises
        ApiError.
        """
        described = self._service.methods_by_name[method]
        path = self._path(described)
        multicallable = self._channel.unary_unary(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        for pause in (*PAUSES, None):
            try:
                reply, call = multicallable.with_call(
                    request, timeout=deadline, metadata=tuple(metadata)
                )
            except grpc.RpcError as error:
                failure = api_error(error, path, self._domain)
                if pause is None or not _may_repeat(method, failure):
                    raise failure from error
                self._sleep(pause)
            else:
                if trailers is not None:
                    trailers.update(_binary(call.trailing_metadata()))
                return reply
        raise AssertionError("the last attempt returns or raises")

    def stream(self, method: str, request: Message, metadata: Metadata = ()) -> Iterator[Any]:
        """Begin a call whose reply is a stream, and return its messages.

        Raises ApiError while they are read.
        """
        described = self._service.methods_by_name[method]
        path = self._path(described)
        call = self._channel.unary_stream(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )(request, metadata=tuple(metadata))
        return _read(call, path, self._domain)

    def converse(
        self, method: str, requests: Iterator[Message], metadata: Metadata = ()
    ) -> Conversation:
        """Begin a call with streams both ways; `requests` is read by a thread of its own."""
        described = self._service.methods_by_name[method]
        path = self._path(described)
        call = self._channel.stream_stream(
            path,
            request_serializer=GetMessageClass(described.input_type).SerializeToString,
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )(requests, metadata=tuple(metadata))
        return Conversation(call, path, self._domain)

    def _path(self, method: MethodDescriptor) -> str:
        return f"/{self._service.full_name}/{method.name}"


class Conversation:
    """A call with streams both ways."""

    def __init__(self, call: Any, path: str, domain: str) -> None:
        self._call = call
        self._path = path
        self._domain = domain

    def __iter__(self) -> Iterator[Any]:
        """The messages of the other side. Raises ApiError."""
        return _read(self._call, self._path, self._domain)

    def cancel(self) -> None:
        """End it; from any thread."""
        self._call.cancel()


def _read(call: Any, path: str, domain: str) -> Iterator[Any]:
    try:
        yield from call
    except grpc.RpcError as error:
        raise api_error(error, path, domain) from error
    finally:
        call.cancel()


def api_error(error: grpc.RpcError, path: str, domain: str = "") -> ApiError:
    """What a failed call means, for the person who made it to the Cluster `domain`."""
    code = error.code().name
    message = error.details() or ""
    if code == "DEADLINE_EXCEEDED":
        return ApiError(code, "the Cluster did not answer in time", path, _DOCTOR)
    if code != "UNAVAILABLE":
        trailers = _binary(error.trailing_metadata())
        return ApiError(code, message, path, trailers=trailers)
    _, untrusted, cause = message.partition("CERTIFICATE_VERIFY_FAILED: ")
    if untrusted and is_unknown_authority(cause):
        return unknown_authority(domain or "the server", path)
    if untrusted and (when := next((w for w in _TIMES if w in cause.lower()), "")):
        return ApiError(
            code,
            f"{_TIMES[when]} by the clock of this computer",
            path,
            "set the clock if it is wrong; else renew the Cluster's certificate: octops cert",
        )
    if untrusted:
        return ApiError(
            code,
            f"the server's certificate is not trusted: {cause.removesuffix(': OK')}",
            path,
            "give the Cluster's CA with `octelium login --ca-file FILE` or SSL_CERT_FILE "
            "(on the Cluster's machine it is ca.pem in the data directory)",
        )
    if "UNRECOGNIZED_NAME" in message.upper().replace(" ", "_"):
        served = domain or "that domain"
        return ApiError(code, f"this Cluster does not serve {served}", path, "check --domain")
    if "hostname verification" in message.lower():
        return ApiError(
            code,
            "the server's certificate is for another name",
            path,
            "give the name in it with --tls-server-name, or correct the endpoint",
        )
    if _never_sent(message):
        cause, remedy = _unreachable(_last_cause(message), domain)
        return ApiError(code, f"cannot reach the Cluster's API: {cause}", path, remedy)
    if any(sign in message.lower() for sign in _BROKE_OFF):
        return ApiError(code, "the Cluster does not answer (it may be restarting)", path)
    return ApiError(code, message, path)


def _binary(metadata: Iterable[Any] | None) -> dict[str, bytes]:
    return {item.key: item.value for item in metadata or () if isinstance(item.value, bytes)}


def _may_repeat(method: str, failure: ApiError) -> bool:
    if failure.code != "UNAVAILABLE":
        return False
    if failure.remedy:  # the connection could not be made: nothing has happened
        return failure.message.startswith("cannot reach")
    return not method.startswith(_NOT_REPEATABLE)


def _never_sent(message: str) -> bool:
    return any(sign in message.lower() for sign in _NEVER_SENT)


def _unreachable(cause: str, domain: str) -> tuple[str, str]:
    """Why no connection came about, and what to do, from the words of grpc."""
    if name := _UNKNOWN_NAME.search(cause):
        remedy = (
            f"check the domain{domain and f' {domain}'} (--domain), then this computer's network; "
            "the Cluster's DNS needs records for its domain and all names below it"
        )
        return f"the name {name[1]} cannot be looked up", remedy
    if "WRONG_VERSION_NUMBER" in cause:
        peer = cause.partition(": ")[0].partition(":")[2]
        remedy = "check the port of the endpoint (--endpoint, OCTELIUM_API_ENDPOINT)"
        return f"what listens at {peer} does not speak TLS", remedy
    endpoint = "check the endpoint (--endpoint, OCTELIUM_API_ENDPOINT) and that the Cluster runs"
    return cause, f"{endpoint}; {_DOCTOR}"


def _last_cause(message: str) -> str:
    _, _, cause = message.partition("last error: ")
    return (cause or message).removeprefix("UNKNOWN: ").removeprefix("UNAVAILABLE: ")
