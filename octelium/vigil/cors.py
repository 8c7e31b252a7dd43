"""Cross-origin requests (the Fetch standard, section 3.2), answered before authentication."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Final

from octelium.http.message import Field, FieldBlock
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.refusals import Answer
from octelium.vigil.rules import checked_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.http.message import HeaderBlock, RequestHead

_is_origin = re.compile(
    rb"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
).fullmatch
_PORTS: Final = {b"http": b":80", b"https": b":443"}


def api_cors(pages: Iterable[str]) -> core.ServiceSpecConfigHttpCors:
    """Of the Cluster's API: the origins `pages` may call it, signed in as they are.

    No other page of the Cluster's domain may: whoever makes a Service makes one.
    """
    return core.ServiceSpecConfigHttpCors(
        allow_origin_string_match=pages,
        allow_credentials=True,
        allow_methods="GET, PUT, DELETE, POST, OPTIONS",
        allow_headers=(
            "cookie,keep-alive,user-agent,cache-control,content-type,content-transfer-encoding,"
            "x-grpc-web,grpc-timeout"
        ),
        expose_headers="set-cookie,grpc-status,grpc-message",
        max_age="86400",
    )


def is_preflight(head: RequestHead) -> bool:
    """Whether a browser asks if it may send a request of another origin."""
    return (
        head.method == b"OPTIONS"
        and head.block.first(b"access-control-request-method") is not None
        and origin_of(head.block) is not None
    )


def origin_of(block: HeaderBlock) -> bytes | None:
    """The one valid `Origin`, normalised: lower-case, without the scheme's own port."""
    values = block.all(b"origin")
    return _checked(values[0]) if len(values) == 1 else None


def origin_in(url: bytes) -> bytes | None:
    """The origin of an absolute URL, normalised; None if it has none."""
    scheme, mark, rest = url.partition(b"://")
    return _checked(scheme + mark + re.split(rb"[/?#]", rest, maxsplit=1)[0])


def _checked(origin: bytes) -> bytes | None:
    if _is_origin(origin) is None:
        return None
    origin = _normalise(origin)
    name = _name(origin)
    if name.startswith(b"["):
        try:
            IPv6Address(name[1:-1].decode("ascii"))
        except AddressValueError:
            return None
    return origin


def _normalise(origin: bytes) -> bytes:
    origin = origin.lower()
    return origin.removesuffix(_PORTS[origin.partition(b":")[0]])


def _name(origin: bytes) -> bytes:
    """The host of a valid origin without its port; an IPv6 address with its brackets."""
    host = origin.partition(b"://")[2]
    if host.startswith(b"["):
        return host[: host.index(b"]") + 1]
    return host.partition(b":")[0]


def is_own(origin: bytes, head: RequestHead) -> bool:
    """Whether a normalised origin has the host and port that the request was sent to."""
    scheme, _, host = origin.partition(b"://")
    return host == head.host.lower().removesuffix(_PORTS[scheme])


class Cors:
    """The rules of one Service: those of its default configuration, or none."""

    def __init__(
        self, settings: core.ServiceSpecConfigHttpCors | None, *, domain: str, own: bool = True
    ) -> None:
        """With `own`, pages of the Service itself may send what they like."""
        self.configured = settings is not None
        self._own = own
        self._any = False
        self._origins: frozenset[bytes] = frozenset()
        self._cluster = False
        self._credentials = False
        self._suffix = f".{domain}".encode()
        self._domain = domain.encode()
        self._methods = self._headers = self._max_age = b""
        self._expose = b""
        if settings is not None:
            listed = [item.encode() for item in settings.allow_origin_string_match]
            self._any = b"*" in listed
            self._origins = frozenset(_normalise(item) for item in listed if _is_origin(item))
            self._cluster = settings.allow_cluster_services
            self._credentials = settings.allow_credentials
            self._methods = checked_value(settings.allow_methods, "cors.allowMethods")
            self._headers = checked_value(settings.allow_headers, "cors.allowHeaders")
            self._expose = checked_value(settings.expose_headers, "cors.exposeHeaders")
            self._max_age = checked_value(settings.max_age, "cors.maxAge")

    def judge(self, head: RequestHead) -> bool | None:
        """Whether the origin that a request names may send it; None if it names none at all.

        An `Origin` that is not one valid origin, such as `null`, may not.
        """
        if b"origin" not in head.block.index:
            return None
        origin = origin_of(head.block)
        return origin is not None and self._allows(origin, head)[0]

    def trusts(self, head: RequestHead) -> bool:
        """Whether the settings let another origin, the one that a request names, sign users in."""
        if not self.configured:
            return False
        origin = origin_of(head.block)
        return origin is not None and not is_own(origin, head) and all(self._allows(origin, head))

    def is_foreign(self, head: RequestHead) -> bool:
        """Whether a request names an origin that is not the Service as the request calls it."""
        if b"origin" not in head.block.index:
            return False
        origin = origin_of(head.block)
        return origin is None or not is_own(origin, head)

    def _allows(self, origin: bytes, head: RequestHead) -> tuple[bool, bool]:
        """Whether `origin` may read, and whether with the user's credentials."""
        scheme = origin.partition(b"://")[0]
        if self._own and is_own(origin, head):
            return True, self._credentials
        name = _name(origin)
        if (
            self._cluster
            and scheme == b"https"
            and (name == self._domain or name.endswith(self._suffix))
        ):
            return True, True
        return self._any or origin in self._origins, self._credentials

    def preflight(self, head: RequestHead, own: list[Field]) -> Answer:
        """The answer to a preflight; `own` fields are in every answer."""
        block = head.block
        origin = origin_of(block)
        assert origin is not None
        vary = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
        answer: list[Field] = [*own, (b"vary", vary)]
        allowed, credentials = self._allows(origin, head)
        if not allowed:
            return Answer(403, FieldBlock([*answer, (b"content-length", b"0")]))
        answer.append((b"access-control-allow-origin", block.all(b"origin")[0]))
        methods = self._methods or block.first(b"access-control-request-method")
        headers = self._headers or block.first(b"access-control-request-headers")
        if methods:
            answer.append((b"access-control-allow-methods", methods))
        if headers:
            answer.append((b"access-control-allow-headers", headers))
        if self._max_age:
            answer.append((b"access-control-max-age", self._max_age))
        if credentials:
            answer.append((b"access-control-allow-credentials", b"true"))
        return Answer(204, FieldBlock(answer))

    def fields(self, head: RequestHead, vary: bytes | None = None) -> list[Field]:
        """What a response to a request with an `Origin` gets, in place of the upstream's own.

        `vary` is the upstream's `Vary`. Empty for requests without an origin, and where nothing is
        configured: then the upstream's own answers count.
        """
        origin = origin_of(head.block)
        if origin is None or not self.configured:
            return []
        fields = [(b"vary", b"Origin" if not vary else vary + b", Origin")]
        allowed, credentials = self._allows(origin, head)
        if allowed:
            fields.append((b"access-control-allow-origin", head.block.all(b"origin")[0]))
            if credentials:
                fields.append((b"access-control-allow-credentials", b"true"))
            if self._expose:
                fields.append((b"access-control-expose-headers", self._expose))
        return fields
