"""A Cluster's API as one object: core, user and ext calls with the right token."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from octelium.client.errors import ApiError
from octelium.client.stub import DEADLINE, Conversation, Metadata, Stub
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import grpc
    from google.protobuf.message import Message


SESSION_END_TRAILER = "octelium-session-end-bin"
"""Trailer of GetStatus: a `google.protobuf.Timestamp`, after which the Session is over."""


class TokenSource(Protocol):
    """Where access tokens come from."""

    def access_token(self) -> str:
        """The token for the next call."""

    def after_rejection(self, rejected: str) -> str | None:
        """Another token after `rejected` was refused; None if there is none."""


class FixedToken:
    """A token from outside, which nobody here can renew."""

    def __init__(self, token: str) -> None:
        self._token = token

    def access_token(self) -> str:
        """The token itself."""
        return self._token

    def after_rejection(self, rejected: str) -> str | None:  # noqa: ARG002  (there is one only)
        """Never another one."""
        return None


class Authorized:
    """One service of the API, called with an access token."""

    def __init__(self, stub: Stub, tokens: TokenSource) -> None:
        self._stub = stub
        self._tokens = tokens

    def input(self, method: str) -> type[Message]:
        """The class of a method's request."""
        return self._stub.input(method)

    def has(self, method: str) -> bool:
        """Whether the service has a method of that name."""
        return self._stub.has(method)

    def call(
        self,
        method: str,
        request: Message,
        metadata: Metadata = (),
        *,
        deadline: float = DEADLINE,
        trailers: dict[str, bytes] | None = None,
    ) -> Any:
        """Make a call, as `Stub.call`. A token that is refused is renewed once. Raises ApiError."""

        def call(token: str) -> Any:
            known = (*_bearing(token), *metadata)
            return self._stub.call(method, request, known, deadline=deadline, trailers=trailers)

        token = self._tokens.access_token()
        try:
            return call(token)
        except ApiError as error:
            other = self._other(error, token)
        return call(other)

    def stream(self, method: str, request: Message) -> Iterator[Any]:
        """Begin a call whose reply is a stream, as `call`."""
        token = self._tokens.access_token()
        begun = self._stub.stream(method, request, _bearing(token))
        return self._renewed(begun, token, method, request)

    def converse(self, method: str, requests: Iterator[Message]) -> tuple[str, Conversation]:
        """Begin a call with streams both ways; its token, for `renew` when it is refused."""
        token = self._tokens.access_token()
        return token, self._stub.converse(method, requests, _bearing(token))

    def renew(self, rejected: str) -> bool:
        """Whether there is another token now than the one that was refused. Raises ClientError."""
        return self._tokens.after_rejection(rejected) is not None

    def keep_fresh(self) -> None:
        """Renew the token if it is time, so that it is good at any moment. Raises ClientError."""
        self._tokens.access_token()

    def _renewed(
        self, begun: Iterator[Any], token: str, method: str, request: Message
    ) -> Iterator[Any]:
        try:
            yield from begun
            return
        except ApiError as error:
            other = self._other(error, token)
        yield from self._stub.stream(method, request, _bearing(other))

    def _other(self, error: ApiError, token: str) -> str:
        if error.code != "UNAUTHENTICATED":
            raise error
        other = self._tokens.after_rejection(token)
        if other is None:
            raise error
        return other


class Api:
    """Everything that a Cluster offers to a client that has a token."""

    def __init__(
        self,
        channel: grpc.Channel,
        tokens: TokenSource,
        *,
        sleep: Callable[[float], None] | None = None,
        domain: str = "",
    ) -> None:
        self._domain = domain
        self._channel = channel
        self._tokens = tokens
        self._sleep = sleep

    @cached_property
    def core(self) -> Authorized:
        """`core.v1`: the resources."""
        return self._service(core.DESCRIPTOR)

    @cached_property
    def user(self) -> Authorized:
        """`user.v1`: what a User may see."""
        return self._service(user.DESCRIPTOR)

    @cached_property
    def ext(self) -> Authorized:
        """`octelium.ext.v1`, which other implementations answer with `UNIMPLEMENTED`."""
        return self._service(ext.DESCRIPTOR)

    def _service(self, file: Any) -> Authorized:
        service = file.services_by_name["MainService"]
        sleep = self._sleep or time.sleep
        stub = Stub(self._channel, service, sleep=sleep, domain=self._domain)
        return Authorized(stub, self._tokens)


def _bearing(token: str) -> Metadata:
    return (("x-octelium-auth", token),)
