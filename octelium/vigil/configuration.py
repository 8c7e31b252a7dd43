"""One effective configuration of a Service, worked out once for all requests that get it."""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.http.message import Field, FieldBlock, MessageError
from octelium.http.syntax import parse_host
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.computed import Computed
from octelium.vigil.errors import Unserviceable, not_offered
from octelium.vigil.refusals import Answer, own_fields
from octelium.vigil.rules import (
    Addition,
    RequestRules,
    ResponseRules,
    checked_name,
    checked_value,
)
from octelium.vigil.served_pool import ServedPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.http.exchange import ResponseReceiver, UpstreamStream
    from octelium.http.message import UpstreamRequest
    from octelium.vigil.environment import Environment
    from octelium.vigil.origins import Upstream

_MODES = core.ServiceSpecMode__
_FORWARDED = core.ServiceSpecConfigHttpHeaderForwardedMode__
_AUTHORIZATION = core.ServiceSpecConfigHttpHeaderAuthorizationMode__
_MAX_DIRECT: Final = 1 << 20
_has_control = re.compile(rb"[\x00-\x1f\x7f]").search


class Connections(Protocol):
    """Opens requests to an upstream; `OriginPool` does, and `ServedPool`."""

    def open(
        self,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
        *,
        fresh: bool = False,
    ) -> UpstreamStream:
        """See `OriginPool.open`."""


class ByTarget:
    """Connections that some targets have to themselves; satisfies `Connections`."""

    __slots__ = ("_apart", "_rest")

    def __init__(self, apart: Mapping[bytes, Connections], rest: Connections) -> None:
        self._apart = apart
        self._rest = rest

    def open(
        self,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
        *,
        fresh: bool = False,
    ) -> UpstreamStream:
        """See `Connections`."""
        connections = self._apart.get(request.target, self._rest)
        return connections.open(request, receiver, data, end, fresh=fresh)


class Endpoint:
    """Connections to one of a configuration's origins, and the authority that requests name."""

    __slots__ = ("authority", "connections")

    def __init__(self, connections: Connections, authority: bytes) -> None:
        self.connections = connections
        self.authority = authority


class Configuration:
    """What to do with an allowed request.

    If `problem` is set, nothing but refusing it. Else `direct` answers, or one of `endpoints` does.
    """

    __slots__ = (
        "add_prefix",
        "direct",
        "endpoints",
        "host",
        "host_expression",
        "problem",
        "remove_prefix",
        "request",
        "responses",
    )

    def __init__(self) -> None:
        self.problem: Unserviceable | None = None
        self.direct: tuple[int, list[Field], bytes] | None = None
        self.endpoints: list[Endpoint] = []
        self.request = RequestRules()
        self.responses: Mapping[bool, ResponseRules] = {
            front: ResponseRules(front=front) for front in (True, False)
        }
        """By whether the client came through the front door."""
        self.host: bytes | None = None
        """The authority to send in place of the endpoint's."""
        self.host_expression: Computed | None = None
        self.add_prefix = b""
        self.remove_prefix = b""

    def endpoint(self) -> Endpoint:
        """The endpoint for one request: any, with equal chance."""
        endpoints = self.endpoints
        return endpoints[0] if len(endpoints) == 1 else secrets.choice(endpoints)

    def authority(self, endpoint: Endpoint, context: Callable[[], Mapping[str, Any]]) -> bytes:
        """What the request to `endpoint` says in `Host`."""
        expression = self.host_expression
        if expression is None:
            return self.host or endpoint.authority
        text = expression.text(context())
        if not text:
            return endpoint.authority
        try:
            return checked_host(text)
        except Unserviceable as problem:
            expression.useless(str(problem))
            return endpoint.authority

    def answer(self, *, front: bool) -> Answer:
        """The fixed answer of `direct`."""
        assert self.direct is not None
        status, fields, body = self.direct
        return Answer(status, FieldBlock([*fields, *own_fields(front=front)]), body)


def managed_configuration(
    service: core.Service, environment: Environment, *, grpc: bool
) -> Configuration:
    """The configuration of a Service behind which a component of the Cluster stands."""
    result = Configuration()
    kind = service.status.managed_service.type
    origin = environment.managed.get(kind)
    if origin is None:
        result.problem = not_offered(f"a managed Service of type {kind or 'unknown'}")
        return result
    connections: Connections = environment.pool.at(origin)
    if grpc:
        connections = environment.unfinished.at(connections)
    if grpc and environment.apart:
        apart = {target: environment.pool.at(own) for target, own in environment.apart.items()}
        connections = ByTarget(apart, connections)
    result.endpoints = [Endpoint(connections, b"")]
    result.request = RequestRules(managed=True, pass_authorization=True, grpc=grpc)
    result.responses = {front: ResponseRules(front=front, managed=True) for front in (True, False)}
    return result


def compile_configuration(
    service: core.Service, config: core.ServiceSpecConfig, environment: Environment
) -> Configuration:
    """Work out a configuration; whatever is wrong with it becomes its `problem`."""
    result = Configuration()
    try:
        _compile(result, service, config, environment)
    except Unserviceable as problem:
        result.problem = problem
    return result


def _compile(
    result: Configuration,
    service: core.Service,
    config: core.ServiceSpecConfig,
    environment: Environment,
) -> None:
    kind = config.WhichOneof("type")
    if kind not in {None, "http"}:
        raise not_offered(f"a {kind} configuration")
    http = config.http
    _refuse_guards(http)
    header = http.header
    credentials = _credentials(http.auth, environment)
    spec = service.spec
    pass_authorization = header.authorization_mode == _AUTHORIZATION.PASS or (
        spec.is_anonymous and header.authorization_mode != _AUTHORIZATION.DELETE
    )
    result.request = RequestRules(
        additions=_additions(header.add_request_headers, environment),
        removals=frozenset(checked_name(name) for name in header.remove_request_headers),
        credentials=credentials,
        pass_authorization=pass_authorization,
        pass_forwarding=header.forwarded_mode == _FORWARDED.TRANSPARENT,
        obfuscate=header.forwarded_mode == _FORWARDED.OBFUSCATE,
        grpc=spec.mode == _MODES.GRPC,
        pseudonym=environment.pseudonym,
    )
    additions = _additions(header.add_response_headers, environment)
    removals = frozenset(checked_name(name) for name in header.remove_response_headers)
    cors = spec.config.http.HasField("cors")  # the default configuration's counts
    result.responses = {
        front: ResponseRules(
            additions=additions, removals=removals, front=front, secluded=not (front or cors)
        )
        for front in (True, False)
    }
    _host(result, header.host, environment.public_host(service), environment)
    result.add_prefix = http.path.add_prefix.encode()
    result.remove_prefix = http.path.remove_prefix.encode()
    if http.response.HasField("direct"):
        result.direct = _direct(http.response.direct)
        return
    result.endpoints = [
        Endpoint(_connections(upstream, service, environment), upstream.authority)
        for upstream in environment.origins.upstreams(service, config)
    ]


def _connections(
    upstream: Upstream, service: core.Service, environment: Environment
) -> Connections:
    if not upstream.user:
        return environment.pool.at(upstream.origin)
    served = environment.require_served()
    return ServedPool(
        environment.pool, served, service.metadata.uid, upstream.user, upstream.origin
    )


def _refuse_guards(http: core.ServiceSpecConfigHttp) -> None:
    """Refuse what would protect something if it were there.

    `retry` and `visibility` only add to what happens; without them everything is as guarded.
    """
    if any(not plugin.is_disabled for plugin in http.plugins):
        raise not_offered("an HTTP plugin")
    if http.enable_request_buffering:
        raise not_offered("request buffering")
    if http.body.ListFields():
        raise not_offered("a condition on request bodies")


def _credentials(
    auth: core.ServiceSpecConfigHttpAuth, environment: Environment
) -> tuple[Field, ...]:
    """What authenticates Octelium to the upstream."""
    kind = auth.WhichOneof("type")
    if kind is None:
        if auth.ListFields():
            raise not_offered("this kind of upstream authentication")
        return ()
    if kind == "bearer":
        token = _secret(auth.bearer.from_secret, environment)
        return ((b"authorization", b"Bearer " + token),)
    if kind == "basic":
        name = auth.basic.password.from_secret
        pair = auth.basic.username.encode() + b":" + environment.secret_value(name)
        if _has_control(pair):  # RFC 7617, section 2; a password in a file may end with a newline
            raise Unserviceable(f"Secret {name} or its user's name holds a control character", 502)
        return ((b"authorization", b"Basic " + base64.b64encode(pair)),)
    if kind == "custom":
        value = _secret(auth.custom.value.from_secret, environment)
        return ((checked_name(auth.custom.header), value),)
    raise not_offered(f"upstream authentication by {kind}")


def _secret(name: str, environment: Environment) -> bytes:
    return checked_value(environment.secret_value(name), f"Secret {name}")


def _additions(entries: Any, environment: Environment) -> tuple[Addition, ...]:
    return tuple(
        Addition(
            checked_name(entry.key),
            b"" if entry.eval else checked_value(entry.value, f"field {entry.key}"),
            _computed(entry.eval, f"field {entry.key}", environment) if entry.eval else None,
            entry.append,
        )
        for entry in entries
    )


def _host(
    result: Configuration,
    host: core.ServiceSpecConfigHttpHeaderHost,
    public_host: str,
    environment: Environment,
) -> None:
    kind = host.WhichOneof("type")
    if kind == "preserve" and host.preserve:
        result.host = public_host.encode()
    elif kind == "value" and host.value:
        result.host = checked_host(host.value)
    elif kind == "eval" and host.eval:
        result.host_expression = _computed(host.eval, "header.host", environment)


def _computed(text: str, place: str, environment: Environment) -> Computed:
    return Computed(place, environment.expression(text))


def checked_host(value: str) -> bytes:
    """A `Host` out of a configuration.

    Raises:
        Unserviceable: it is not a host with an optional port.
    """
    raw = value.encode("utf-8", "replace")
    try:
        parse_host(raw)
    except MessageError as error:
        raise Unserviceable(f"header.host: {error}") from error
    return raw


def _direct(
    direct: core.ServiceSpecConfigHttpResponseDirect,
) -> tuple[int, list[Field], bytes]:
    status = direct.status_code or 200
    if not 200 <= status <= 599:
        raise Unserviceable(f"response.direct.statusCode {status} is not a final status")
    inline = direct.WhichOneof("type") == "inline"
    body = direct.inline.encode() if inline else direct.inline_bytes
    if len(body) > _MAX_DIRECT:
        raise Unserviceable("response.direct is too large")
    fields: list[Field] = []
    if status not in {204, 304}:
        fields.append((b"content-length", b"%d" % len(body)))
        if direct.content_type:
            content_type = checked_value(direct.content_type, "response.direct.contentType")
            fields.append((b"content-type", content_type))
    return status, fields, body
