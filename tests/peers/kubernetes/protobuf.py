"""Bodies in protobuf, which kubectl sends for a few kinds: namespaces and reviews of oneself.

Kubernetes documentation, "Kubernetes Protobuf encoding": four magic bytes, then an envelope with
the type and the object.
"""

from __future__ import annotations

from typing import Any

from tests.peers.kubernetes.failure import Failure

_MAGIC = b"k8s\x00"
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

# Field numbers: name and, for messages, their own fields; None for strings, "map" for labels.
_META = {
    1: ("name", None),
    2: ("generateName", None),
    3: ("namespace", None),
    11: ("labels", "map"),
}
_ATTRIBUTES = {
    1: ("namespace", None),
    2: ("verb", None),
    3: ("group", None),
    4: ("version", None),
    5: ("resource", None),
    6: ("subresource", None),
    7: ("name", None),
}
_PATH = {1: ("path", None), 2: ("verb", None)}
_KINDS: dict[str, dict[int, tuple[str, Any]]] = {
    "Namespace": {1: ("metadata", _META)},
    "SelfSubjectAccessReview": {
        2: ("spec", {1: ("resourceAttributes", _ATTRIBUTES), 2: ("nonResourceAttributes", _PATH)})
    },
    "SelfSubjectRulesReview": {2: ("spec", {1: ("namespace", None)})},
    "SelfSubjectReview": {},
}


def decode(body: bytes) -> dict[str, Any]:
    """The object. Raises `Failure` 415 for kinds that are not known here."""
    if not body.startswith(_MAGIC):
        raise _unknown("without its prefix")
    envelope = dict(_fields(body[len(_MAGIC) :]))
    told = dict(_fields(envelope.get(1, b"")))
    kind = told.get(2, b"").decode()
    if kind not in _KINDS:
        raise _unknown(f"of kind {kind}")
    made = _message(envelope.get(2, b""), _KINDS[kind])
    return {"apiVersion": told.get(1, b"").decode(), "kind": kind, **made}


def _unknown(what: str) -> Failure:
    message = f"the body of the request was in an unknown format: protobuf {what}"
    return Failure(415, "UnsupportedMediaType", message)


def _message(data: bytes, known: dict[int, tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for number, value in _fields(data):
        if number not in known:
            continue
        name, inner = known[number]
        if inner is None:
            if value:
                made[name] = value.decode()
        elif inner == "map":
            pair = dict(_fields(value))
            made.setdefault(name, {})[pair[1].decode()] = pair.get(2, b"").decode()
        else:
            made[name] = _message(value, inner)
    return made


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """Number and content of the fields of a message; numbers as content are left out."""
    found, at = [], 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            _, at = _varint(data, at)
        elif tag & 7 == 2:
            size, at = _varint(data, at)
            found.append((tag >> 3, data[at : at + size]))
            at += size
        else:
            raise _unknown(f"with a field of wire type {tag & 7}")
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise _unknown("that ends early")
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7
