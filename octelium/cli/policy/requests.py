"""Requests as people write them down, and the `ctx.request` that they stand for.

`ctx.request` is described in https://octelium.com/docs/octelium/latest/management/core/policy; its
form is that of `RequestContext.Request` in core.v1.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from octelium.schema import json_reader
from octelium.schema.json_reader import Problem
from octelium.schema.jsonform import to_json
from octelium.schema.modes import HTTP_MODES, mode_name
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.suggestion import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODE = core.ServiceSpecMode__
_HOLDERS: Final = ("grpc", "kubernetes", "mcp", "llm")
"""Members in which the HTTP part of a request stands, if it is of their mode."""
_MEMBER: Final[dict[int, str]] = {
    _MODE.HTTP: "http", _MODE.WEB: "http", _MODE.RDP_WEB: "http",
    _MODE.GRPC: "grpc", _MODE.KUBERNETES: "kubernetes", _MODE.MCP: "mcp", _MODE.LLM: "llm",
    _MODE.SSH: "ssh", _MODE.POSTGRES: "postgres", _MODE.MYSQL: "mysql", _MODE.DNS: "dns",
    _MODE.SOCKS5: "socks5",
}  # fmt: skip
_HTTP_FIELDS: Final = ("method", "path", "headers", "query", "host", "body")
_FIELDS: Final = (
    *_HTTP_FIELDS,
    *(field.json_name for field in core.RequestContextRequest.DESCRIPTOR.fields),
)
_AS_IS: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")
_FORM: Final = "write METHOD PATH, or an object such as {method: GET, path: /}"


def read_request(value: Any) -> tuple[dict[str, Any] | None, list[Problem]]:
    """`ctx.request` as a text (`GET /a?b=c`) or an object means it, and what is wrong with it.

    The object has the members of `ctx.request`, and `method`, `path`, `headers`, `query`, `host`
    and `body` (JSON, or a text) as a short form of its HTTP part.
    """
    if isinstance(value, str):
        method, _, target = value.strip().partition(" ")
        target = target.strip()
        if not method.isalpha() or not target.startswith("/"):
            return None, [Problem((), f"{value[:60]!r} is no request", _FORM)]
        return {"http": http_request(method, target)}, []
    if not isinstance(value, dict):
        return None, [Problem((), "expected a request", _FORM)]
    problems = [
        Problem((str(key),), "unknown field", _hint(key)) for key in value if key not in _FIELDS
    ]
    whole = {key: item for key, item in value.items() if key in _FIELDS}
    short = {key: whole.pop(key) for key in _HTTP_FIELDS if key in whole}
    problems += _check_short(short)
    message = core.RequestContextRequest()
    problems += json_reader.read(message, whole)
    if problems:
        return None, problems
    request: dict[str, Any] = to_json(message)
    if short:
        problems = _add_short(request, short)
    if "grpc" in request:
        _complete_grpc(request["grpc"])
    return request, problems


def http_request(
    method: str,
    target: str,
    *,
    headers: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
    host: str = "",
    body: Any = None,
) -> dict[str, Any]:
    """The HTTP part of a request as it is sent, for `as_received`.

    What a target cannot hold is escaped, as browsers do it. A header's name may have a list of
    values, and so may that of a parameter.
    """
    path, mark, search = quote(target, safe=_AS_IS).partition("?")
    if query:
        search = "&".join(part for part in (search, urlencode(query, doseq=True)) if part)
    http: dict[str, Any] = {"method": method.upper()}
    http["uri"] = f"{path}?{search}" if search or mark else path
    named = {name.lower(): text for name, text in (headers or {}).items()}
    if host:
        named.setdefault("host", host)
    if named:
        http["headers"] = named
    if body is not None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        http |= {"body": b64encode(content).decode(), "size": str(len(content))}
        if isinstance(body, dict):
            http["bodyMap"] = body
    return http


def fitting_request(request: dict[str, Any] | None, mode: int) -> dict[str, Any] | None:
    """A request to a Service of this mode; without one, the plainest there is.

    Raises ValueError for a request that no such Service would get.
    """
    member = _MEMBER.get(mode)
    if request is None:
        return {"http": http_request("GET", "/")} if member == "http" else None
    if member is None:
        raise ValueError(f"a Service of mode {mode_name(mode)} gets streams, without a request")
    allowed = {member, "ip"} if mode in HTTP_MODES else {member}
    other = [key for key in request if key not in allowed]
    if other:
        raise ValueError(
            f"a request to a Service of mode {mode_name(mode)} has {member}:, not {other[0]}:"
        )
    return request


def _hint(key: Any) -> str:
    return did_you_mean(str(key), _FIELDS, otherwise=f"fields here: {', '.join(_FIELDS)}")


def _check_short(short: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem((key,), "expected a text", "put it in quotes")
        for key in ("method", "path", "host")
        if not isinstance(short.get(key, ""), str)
    ]
    if isinstance(path := short.get("path"), str) and not path.startswith("/"):
        problems.append(Problem(("path",), f"{path[:60]!r} does not begin with /", ""))
    for key in ("headers", "query"):
        entries = short.get(key, {})
        if not isinstance(entries, dict):
            problems.append(Problem((key,), "expected an object", "write NAME: VALUE pairs"))
            continue
        problems += [
            Problem((key, str(name)), "expected a text", "put it in quotes")
            for name, text in entries.items()
            if not isinstance(text, str) and not _are_texts(text)
        ]
    return problems


def _are_texts(value: Any) -> bool:
    """Whether it is a list of what is sent several times."""
    return isinstance(value, list) and bool(value) and all(isinstance(it, str) for it in value)


def _add_short(request: dict[str, Any], short: Mapping[str, Any]) -> list[Problem]:
    holders = [member for member in _HOLDERS if member in request]
    holder = request[holders[0]] if holders else request
    if "http" in holder:
        first = next(iter(short))
        return [Problem((first,), "given together with http", "write it into http")]
    holder["http"] = http_request(
        short.get("method", "GET"),
        short.get("path", "/"),
        headers=short.get("headers"),
        query=short.get("query"),
        host=short.get("host", ""),
        body=short.get("body"),
    )
    return []


def _complete_grpc(grpc: dict[str, Any]) -> None:
    """Give a gRPC call both the full name of its service and the parts of that name."""
    full = grpc.get("serviceFullName")
    if full is None and grpc.get("package") and grpc.get("service"):
        grpc["serviceFullName"] = f"{grpc['package']}.{grpc['service']}"
    elif full is not None:
        package, _, service = full.rpartition(".")
        grpc.setdefault("package", package)
        grpc.setdefault("service", service)
