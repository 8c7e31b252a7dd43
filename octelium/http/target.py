"""Request targets in the one form that policies see and upstreams get.

A path that means one thing to a policy and another to the upstream is a hole in the policy, so
everything that servers are known to read differently is either brought into one form here or
refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from octelium.http.message import MessageError

_is_target = re.compile(rb"\*|/[\x21\x22\x24-\x7e]*").fullmatch
_bad_escape = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_escape = re.compile(rb"%[0-9A-Fa-f]{2}")
_separator = re.compile(rb"%2[Ff]|%5[Cc]|\\")
_dot_parameter = re.compile(rb"/\.{1,2};").search
_escaped_separator = re.compile(rb"%(?:25)*(?:2[Ff]|5[Cc])").search
_control = re.compile(rb"[\x00-\x1f\x7f]").search
_REMEMBERED: Final = 512
"""Bytes of the longest target that is worth remembering."""
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


class Target:
    """A request's path and query.

    `wire` goes to the upstream; `raw_path` and `query` are its two parts (`query` is None without
    a question mark); `path` is the path without escapes, which policies compare.
    """

    __slots__ = ("path", "query", "raw_path", "wire")

    def __init__(self, raw_path: bytes, path: bytes, query: bytes | None) -> None:
        self.raw_path = raw_path
        self.path = path
        self.query = query
        self.wire = raw_path if query is None else raw_path + b"?" + query

    def with_path(self, raw_path: bytes) -> bytes:
        """The wire form with another path."""
        return raw_path if self.query is None else raw_path + b"?" + self.query


def normalise(target: bytes) -> Target:
    """Bring a target in origin form (or `*`) into its one form.

    Dot segments are removed, escaped ones too (RFC 3986, sections 5.2.4 and 6.2.2); escapes of
    unreserved characters are undone; semicolons between query parameters become ampersands, so
    that everybody sees the same parameters; repeated slashes stay.

    Raises:
        MessageError: controls, also escaped ones in the path; a broken escape in the path; dot
            segments next to a backslash or to an escaped separator, which servers resolve in
            different orders.
    """
    return (_normalise if len(target) <= _REMEMBERED else _normalise.__wrapped__)(target)


def forget_targets() -> None:
    """Forget targets; what stands in a query may be a secret."""
    _normalise.cache_clear()


@lru_cache(maxsize=1024)
def _normalise(target: bytes) -> Target:
    if _is_target(target) is None:
        raise MessageError("request target is not a path")
    path, mark, rest = target.partition(b"?")
    query = (rest.replace(b";", b"&") if b";" in rest else rest) if mark else None
    if b"%" not in path and b"/." not in path and b"\\" not in path:
        return Target(path, path, query)
    if _bad_escape(path):
        raise MessageError("broken escape in the path")
    path = _escape.sub(_undo, path)
    if _has_dots(path):
        if _separator.search(path):
            raise MessageError("dot segments beside an ambiguous separator")
        path = _remove_dots(path)
    elif _has_dots(_separator.sub(b"/", path)):
        raise MessageError("dot segments beside an ambiguous separator")
    decoded = unquote_to_bytes(path)
    if _control(decoded):
        raise MessageError("control character in the path")
    if _has_dots(final := _fully_decoded(decoded)) or _dot_parameter(final):
        raise MessageError("dot segments behind escapes or path parameters")
    return Target(path, decoded, query)


def _undo(match: re.Match[bytes]) -> bytes:
    """Undo the escape of an unreserved character; write the others in upper case."""
    code = int(match[0][1:], 16)
    return bytes([code]) if code in _UNRESERVED else match[0].upper()


def _has_dots(path: bytes) -> bool:
    return b"/./" in path or b"/../" in path or path.endswith((b"/.", b"/.."))


def _remove_dots(path: bytes) -> bytes:
    """RFC 3986, section 5.2.4, for a path that begins with a slash."""
    done: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if done:
                done.pop()
        elif segment != b".":
            done.append(segment)
    if segments[-1] in {b".", b".."}:
        done.append(b"")
    return b"/" + b"/".join(done)


def _fully_decoded(path: bytes) -> bytes:
    """What a server that decodes again and again would end with, separators made alike."""
    for _ in range(8):
        again = unquote_to_bytes(path)
        if again == path:
            return path.replace(b"\\", b"/")
        path = again
    raise MessageError("path is escaped too many times")


def is_ambiguous(path: bytes) -> bool:
    """Whether servers disagree about the segments of a normalised path.

    Many merge repeated slashes, some take an escaped separator or a backslash for a slash (also
    after decoding twice), some cut parameters off segments (RFC 3986, section 3.3). Parameters of
    the last segment alone leave those before it as they are.
    """
    return (
        b"//" in path
        or b"\\" in path
        or (b"%" in path and _escaped_separator(path) is not None)
        or (b";" in path and b"/" in path[path.index(b";") :])
    )


def parse_query(query: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Names and values of a query's parameters, decoded, and whether all of it was well-formed.

    `+` is a space. A part with a broken escape is left out and makes the second result false:
    servers differ in what they make of it.
    """
    pairs: list[tuple[bytes, bytes]] = []
    clean = True
    for part in query.split(b"&"):
        if not part:
            continue
        if _bad_escape(part):
            clean = False
            continue
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs, clean


def query_parameters(query: bytes) -> tuple[dict[str, str], frozenset[str], bool]:
    """First values by name, names given more than once, and whether all of it was well-formed."""
    first: dict[str, str] = {}
    again: set[str] = set()
    pairs, clean = parse_query(query)
    for raw, value in pairs:
        name = raw.decode("utf-8", "replace")
        if name in first:
            again.add(name)
        else:
            first[name] = value.decode("utf-8", "replace")
    return first, frozenset(again), clean
