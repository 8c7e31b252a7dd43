"""Access-log entries in the official schema, made from rows when somebody reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.visibility.batch import entry_id, name_of
from octelium.visibility.dns import make_dns

if TYPE_CHECKING:
    from octelium.visibility.batch import Batch, Row

_VERSIONS = {10: "HTTP10", 11: "HTTP11", 20: "HTTP2"}
_REFERENCES = ("session", "user", "device", "service", "namespace", "region")


def text(value: bytes) -> str:
    """A text as received, with what is not UTF-8 replaced."""
    return value.decode("utf-8", "replace")


def without_query(url: bytes) -> str:
    """A URL without query and fragment, which may hold secrets."""
    return text(url.partition(b"#")[0].partition(b"?")[0])


def without_secrets(referer: bytes) -> str:
    """A Referer without query, fragment and user information."""
    scheme, mark, rest = without_query(referer).partition("://")
    if not mark:
        return scheme
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _common(subject: dict[str, Any], connection: str) -> dict[str, Any]:
    common: dict[str, Any] = {
        "status": "ALLOWED" if subject["allowed"] else "DENIED",
        "mode": subject["mode"],
        "reason": subject["reason"],
        "connectionID": connection,
        "isPublic": subject["is_public"],
        "isAnonymous": subject["is_anonymous"],
    }
    for name in _REFERENCES:
        if subject[name]:
            common[f"{name}Ref"] = subject[name]
    return common


def _http(batch: Batch, row: Row) -> dict[str, Any]:
    texts, shape = batch.texts, batch.shapes[row.shape]
    path = without_query(row.target)
    http: dict[str, Any] = {
        "request": {
            "path": path,
            "uri": path,
            "method": text(texts[shape.method]),
            "userAgent": text(texts[shape.user_agent]),
            "referer": without_secrets(texts[shape.referer]),
            "origin": text(texts[shape.origin]),
            "bodyBytes": row.request_bytes,
        },
        "response": {
            "code": row.status,
            "bodyBytes": row.response_bytes,
            "contentType": text(texts[shape.content_type]),
        },
    }
    if row.version in _VERSIONS:
        http["httpVersion"] = _VERSIONS[row.version]
    return http


def _grpc(batch: Batch, row: Row) -> dict[str, Any]:
    """The gRPC form: what the path says, and the HTTP exchange inside."""
    full, _, method = without_query(row.target).lstrip("/").partition("/")
    package, _, service = full.rpartition(".")
    grpc: dict[str, Any] = {
        "http": _http(batch, row),
        "service": service,
        "serviceFullName": full,
        "method": method,
        "package": package,
    }
    if row.grpc_status >= 0:
        grpc["status"] = row.grpc_status
    return grpc


def _dns(batch: Batch, row: Row) -> dict[str, Any]:
    """A question by its type's name and its target, the answer in the place of a content type."""
    texts, shape = batch.texts, batch.shapes[row.shape]
    answer = text(texts[shape.content_type])
    return make_dns(text(texts[shape.method]), text(row.target), answer, row.status)


def _tcp(batch: Batch, row: Row) -> dict[str, Any]:
    """The beginning or the end of a connection, which stands in the place of a method."""
    counts = {"receivedBytes": row.request_bytes, "sentBytes": row.response_bytes}
    return {**_udp(batch, row), **counts}


def _udp(batch: Batch, row: Row) -> dict[str, Any]:
    """The beginning or the end of a flow. The official form has no counts for it."""
    return {"type": text(batch.texts[batch.shapes[row.shape].method])}


_INFO = {"GRPC": ("grpc", _grpc), "DNS": ("dns", _dns), "TCP": ("tcp", _tcp), "UDP": ("udp", _udp)}
"""The member of `info` for the records of a mode; that of all others is `http`."""


def make_entry(batch: Batch, row: Row) -> core.AccessLog:
    """One row as an official `AccessLog`."""
    subject = batch.subjects[row.subject]
    member, make = _INFO.get(subject["mode"], ("http", _http))
    info = {member: make(batch, row)}
    log = core.AccessLog(api_version="core/v1", kind="AccessLog")
    log.metadata.id = entry_id(batch.prefix, row.number)
    common = _common(subject, f"{name_of(batch.prefix)}-{row.connection:x}")
    json_format.ParseDict({"common": common, "info": info}, log.entry)
    ended = round((row.started + row.duration) * 1e6)
    log.entry.common.started_at.FromMicroseconds(round(row.started * 1e6))
    log.entry.common.ended_at.FromMicroseconds(ended)
    log.metadata.created_at.FromMicroseconds(ended)
    if log.entry.common.HasField("session_ref"):
        log.metadata.actor_ref.CopyFrom(log.entry.common.session_ref)
    if log.entry.common.HasField("service_ref"):
        log.metadata.target_ref.CopyFrom(log.entry.common.service_ref)
    return log


def make_detail(batch: Batch, row: Row) -> ext.AccessLogDetail:
    """What the official entry of a row has no field for."""
    texts, shape = batch.texts, batch.shapes[row.shape]
    return ext.AccessLogDetail(
        client_address=text(texts[shape.client_address]),
        host=text(texts[shape.host]),
        duration_seconds=row.duration,
        error=text(texts[shape.error]),
    )
