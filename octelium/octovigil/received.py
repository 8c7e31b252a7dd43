"""Requests that are only thought of, as a Service would get them.

What people write down is brought into the one form that the proxy brings real requests into, and
what the proxy refuses, or leaves open to two readings, is refused and left open here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from octelium.http.message import MessageError
from octelium.http.syntax import fold, is_token, is_value, parse_host
from octelium.http.target import is_ambiguous, normalise, query_parameters
from octelium.octovigil.inquiry import Inquiry, InquiryError
from octelium.schema.names import split_service_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.http.target import Target
    from octelium.policy.request import Path
    from octelium.replica.replica import Replica

_HOLDERS: Final = ("grpc", "kubernetes", "mcp", "llm")
"""Members of `ctx.request` in which the HTTP part may stand."""
_AS_IS: Final = "".join(map(chr, range(0x21, 0x7F))).translate({ord(sign): None for sign in "%?#"})
"""What may stand in the path of a target as it is."""
_separators: Final = re.compile(r"(?:/|\\|%(?:25)*(?:2[Ff]|5[Cc]))+")
_parameters: Final = re.compile(r";[^/]*")
_SCHEME: Final = "https"


def as_received(replica: Replica, inquiry: Inquiry) -> Inquiry:
    """The inquiry about the request as the proxy would see it.

    `uri` is the target that is sent; without it, `path` and `queryParams` are. In `headers` and
    `queryParams` a list stands for what is sent several times. Policies know a Service by one host
    name, whatever name is asked for.

    Raises:
        InquiryError: the parts of the request contradict each other, or are none.
    """
    if inquiry.request is None:
        return inquiry
    reading = _Reading(canonical_host(replica, inquiry.service))
    request = dict(inquiry.request)
    holder = next((name for name in _HOLDERS if isinstance(request.get(name), dict)), "")
    inner = dict(request[holder]) if holder else request
    if holder == "grpc":
        _complete_call(inner)
    if isinstance(inner.get("http"), dict):
        prefix: Path = (holder, "http") if holder else ("http",)
        inner["http"] = reading.http(inner["http"], prefix)
    if holder:
        request[holder] = inner
    return replace(
        inquiry,
        request=request,
        repeated=inquiry.repeated | reading.repeated,
        refusal=reading.refusal,
    )


def canonical_host(replica: Replica, service: str) -> str:
    """The one name by which policies know a Service."""
    config = replica.cluster_config
    name, namespace = split_service_name(service)
    return f"{name}.{namespace}.{'' if config is None else config.domain}"


def target_of(path: str) -> Target:
    """The target of a path without escapes, as clients write it.

    Raises:
        MessageError: no such path is taken.
    """
    return normalise(quote(path, safe=_AS_IS).encode())


def can_be_sent(path: Path, value: object) -> bool:
    """Whether a request may have `value` at `path` below `ctx.request`, in one reading only.

    What is neither a method, a header, nor a part of a target may be anything.
    """
    match path[path.index("http") + 1 :] if "http" in path else ():
        case ("method",):
            return isinstance(value, str) and is_token(value.encode()) is not None
        case ("headers", name):
            if not isinstance(value, str) or is_value(value.encode()) is None:
                return False
            return is_token(name.encode()) is not None
        case ("path" | "uri" as name,):
            return isinstance(value, str) and _reads_as(value, whole=name == "uri")
    return True


def _reads_as(text: str, *, whole: bool) -> bool:
    """Whether a path, or a whole target, is the form in which conditions see it."""
    try:
        target = normalise(text.encode()) if whole else target_of(text)
    except MessageError:
        return False
    return _text(target.wire if whole else target.path) == text and not is_ambiguous(
        target.raw_path
    )


def in_one_reading(text: str) -> str:
    """A path or target that is open to several readings, as most servers take it."""
    path, mark, query = text.partition("?")
    path = _separators.sub("/", _parameters.sub("", path))
    made = f"{path}{mark}{query}"
    return made if _reads_as(made, whole=bool(mark)) else "/"


class _Reading:
    """Reads the HTTP part of one request."""

    def __init__(self, host: str) -> None:
        self.repeated: frozenset[Path] = frozenset()
        self.refusal = ""
        self._host = host

    def http(self, given: Mapping[str, Any], prefix: Path) -> dict[str, Any]:
        """The part as conditions see it; as it is given if it is refused."""
        http = dict(given)
        again: set[Path] = set()
        http["headers"] = self._headers(given.get("headers", {}), again)
        parameters = _several(given.get("queryParams", {}), "queryParams")
        http.pop("queryParams", None)
        try:
            self._check(http)
            if (target := _target(given, parameters)) is not None:
                _read_target(http, target, again)
        except MessageError as error:
            self.refusal = str(error)
        if parameters:
            first = {name: values[0] for name, values in parameters.items()}
            if not self.refusal and http.setdefault("queryParams", first) != first:
                raise InquiryError("queryParams are not those of the uri; leave one of them out")
            http["queryParams"] = first
        http["host"] = self._host
        http.setdefault("scheme", _SCHEME)
        self.repeated |= {(*prefix, *path) for path in again}
        return http

    def _headers(self, given: Any, again: set[Path]) -> dict[str, str]:
        """First values by lower-case name. Upstreams may take `x_team` for `x-team`."""
        headers: dict[str, str] = {}
        folded: dict[bytes, int] = {}
        for name, values in _several(given, "headers").items():
            lower = name.lower()
            headers.setdefault(lower, values[0])
            key = fold(lower.encode())
            folded[key] = folded.get(key, 0) + len(values)
        for name in headers:
            if folded[fold(name.encode())] > 1:
                spellings = name, name.replace("_", "-"), name.replace("-", "_")
                again |= {("headers", spelling) for spelling in spellings}
        headers.setdefault("host", self._host)
        return headers

    def _check(self, http: Mapping[str, Any]) -> None:
        """Raises MessageError for what is no head of a request (RFC 9110, section 5)."""
        method = http.get("method")
        if isinstance(method, str) and is_token(method.encode()) is None:
            raise MessageError("the method is not a token")
        for name, value in http["headers"].items():
            if is_token(name.encode()) is None:
                raise MessageError("a header's name is not a token")
            if is_value(value.strip(" \t").encode()) is None:
                raise MessageError(f"the header {name} has a control character")
        parse_host(http["headers"]["host"].encode())


def _target(given: Mapping[str, Any], parameters: Mapping[str, list[str]]) -> Target | None:
    """What is asked for; None if that is not said. Raises InquiryError, MessageError."""
    uri, path = given.get("uri"), given.get("path")
    query = urlencode(parameters, doseq=True)
    if isinstance(uri, str):
        wire = f"{uri}?{query}" if query and "?" not in uri else uri
        target = normalise(wire.encode())
        if isinstance(path, str):
            wanted = _text(target.path)
            if path != wanted and _text(target_of(path).path) != wanted:
                raise InquiryError(f"path {path!r} is not that of uri {uri!r}; leave one out")
        return target
    if not isinstance(path, str):
        return None
    target = target_of(path)
    return normalise(target.raw_path + b"?" + query.encode()) if query else target


def _read_target(http: dict[str, Any], target: Target, again: set[Path]) -> None:
    http["path"], http["uri"] = _text(target.path), _text(target.wire)
    if is_ambiguous(target.raw_path):
        again |= {("path",), ("uri",)}
    first, repeated, clean = query_parameters(target.query or b"")
    again |= {("queryParams", name) for name in repeated}
    if not clean:
        again.add(("queryParams",))
    if first:
        http["queryParams"] = first


def _several(given: Any, what: str) -> dict[str, list[str]]:
    """Values by name. Raises InquiryError for what is neither a text nor a list of them."""
    if not isinstance(given, dict):
        raise InquiryError(f"request: {what} is no object")
    several: dict[str, list[str]] = {}
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(each, str) for each in values):
            raise InquiryError(f"request: {what} {name!r} is neither a text nor a list of texts")
        several[str(name)] = values
    return several


def _complete_call(grpc: dict[str, Any]) -> None:
    """A gRPC call is sent as a POST to a path of its names."""
    service, method = grpc.get("serviceFullName"), grpc.get("method")
    if "http" not in grpc and service and method:
        grpc["http"] = {"method": "POST", "path": f"/{service}/{method}"}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
