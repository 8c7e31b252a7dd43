"""`ctx.request` of the HTTP modes, read lazily from a request's head."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from octelium.http.syntax import fold
from octelium.http.target import is_ambiguous, query_parameters
from octelium.policy.request import MISSING

if TYPE_CHECKING:
    from octelium.http.message import HeaderBlock, RequestHead
    from octelium.http.target import Target
    from octelium.policy.request import Path

_HEADERS: Final = object()
_REPEATED: Final = object()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _headers(block: HeaderBlock) -> dict[str, Any]:
    """First values by lower-case name; made once per block, and not to be changed."""
    headers: dict[str, Any] | None = block.derived.get(_HEADERS)
    if headers is None:
        headers = {_text(name): _text(value) for name, value in block.index.items()}
        block.remember(_HEADERS, headers)
    return headers


def _repeated(block: HeaderBlock) -> frozenset[bytes]:
    """Folded names that stand in a block more than once; worked out once per block.

    Upstreams behind CGI-like interfaces take `X_Team` and `X-Team` for one field.
    """
    known: frozenset[bytes] | None = block.derived.get(_REPEATED)
    if known is None:
        counts = Counter(map(fold, block.names))
        known = frozenset(name for name, count in counts.items() if count > 1)
        block.remember(_REPEATED, known)
    return known


class HttpRequest:
    """A request as policies see it; see `octelium.policy.request.Request`.

    `host` is the canonical public name of the Service, whatever alias the client used. Values are
    as received, before anything is removed or rewritten for the upstream, but for the path, which
    is the normalised one.
    """

    __slots__ = ("_query", "client_address", "head", "host", "target", "token")

    def __init__(
        self,
        head: RequestHead,
        target: Target,
        token: bytes | None,
        client_address: str,
        host: str,
    ) -> None:
        self.head = head
        self.target = target
        self.token = token
        self.client_address = client_address
        self.host = host
        self._query: tuple[dict[str, Any], frozenset[str], bool] | None = None

    def context(self) -> dict[str, Any]:
        """The whole `ctx.request` object."""
        context = self._kind()
        if self.client_address:
            context["ip"] = self.client_address
        return context

    def read(self, path: Path) -> object:
        """The value at `path`, or `MISSING`."""
        if not path:
            return self.context()
        if path[0] == "http":
            return self._read_http(path[1:])
        if path == ("ip",) and self.client_address:
            return self.client_address
        return MISSING

    def repeated(self, path: Path) -> bool:
        """Whether something at or below `path` was given more than once, or can be read in two
        ways: a header, a query parameter, the path.
        """
        if not path:
            return self._repeated_http(())
        return path[0] == "http" and self._repeated_http(path[1:])

    def _kind(self) -> dict[str, Any]:
        return {"http": self._http()}

    def _http(self) -> dict[str, Any]:
        """The `http` object, defaults left out."""
        form: dict[str, Any] = {"headers": _headers(self.head.block)}
        for name in ("method", "path", "host", "uri", "scheme", "size", "queryParams"):
            value = self._read_http((name,))
            if value is not MISSING:
                form[name] = value
        return form

    def _read_http(self, path: Path) -> object:
        if not path:
            return self._http()
        name = path[0]
        if name == "headers":
            return _walk(_headers(self.head.block), path[1:])
        if name == "queryParams":
            parameters = self._parameters()[0]
            return _walk(parameters, path[1:]) if parameters else MISSING
        if len(path) > 1:
            return MISSING
        if name == "method":
            return _text(self.head.method)
        if name == "path":
            return _text(self.target.path)
        if name == "uri":
            return _text(self.target.wire)
        if name == "host":
            return self.host
        if name == "scheme":
            return _text(self.head.scheme)
        if name == "size":
            length = self.head.content_length
            if length is None:
                return "-1"
            return str(length) if length else MISSING
        return MISSING

    def _repeated_http(self, path: Path) -> bool:
        if not path:
            return any(self._repeated_http((name,)) for name in ("headers", "queryParams", "path"))
        if path[0] == "headers":
            repeated = _repeated(self.head.block)
            return bool(repeated) if len(path) == 1 else fold(path[1].lower().encode()) in repeated
        if path[0] == "queryParams":
            _, names, clean = self._parameters()
            return not clean or (bool(names) if len(path) == 1 else path[1] in names)
        return path[0] in {"path", "uri"} and is_ambiguous(self.target.raw_path)

    def _parameters(self) -> tuple[dict[str, Any], frozenset[str], bool]:
        """First values by name, names given more than once, and whether the query was clean."""
        if self._query is None:
            self._query = query_parameters(self.target.query or b"")
        return self._query


class GrpcRequest(HttpRequest):
    """A gRPC call: the same, with the call's names around it."""

    __slots__ = ("method", "service_full_name")

    def __init__(
        self,
        head: RequestHead,
        target: Target,
        token: bytes | None,
        client_address: str,
        host: str,
        call: tuple[str, str],
    ) -> None:
        super().__init__(head, target, token, client_address, host)
        self.service_full_name, self.method = call

    def read(self, path: Path) -> object:
        """The value at `path`, or `MISSING`."""
        if len(path) >= 2 and path[0] == "grpc":
            name = path[1]
            if name == "http":
                return self._read_http(path[2:])
            if len(path) > 2:
                return MISSING
            if name == "serviceFullName":
                return self.service_full_name
            if name == "method":
                return self.method
            package, _, service = self.service_full_name.rpartition(".")
            return {"package": package, "service": service}.get(name, MISSING)
        if path == ("grpc",):
            return self._kind()["grpc"]
        if path and path[0] == "http":
            return MISSING
        return super().read(path)

    def repeated(self, path: Path) -> bool:
        """See `HttpRequest.repeated`."""
        if not path or path == ("grpc",):
            return self._repeated_http(())
        return path[:2] == ("grpc", "http") and self._repeated_http(path[2:])

    def _kind(self) -> dict[str, Any]:
        package, _, service = self.service_full_name.rpartition(".")
        return {
            "grpc": {
                "http": self._http(),
                "serviceFullName": self.service_full_name,
                "service": service,
                "package": package,
                "method": self.method,
            }
        }


def _walk(value: Any, path: Path) -> object:
    for key in path:
        if type(value) is not dict or key not in value:
            return MISSING
        value = value[key]
    return value
