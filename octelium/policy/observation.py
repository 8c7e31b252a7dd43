"""What a decision sees of a request, and what it may be remembered under.

Two requests that agree at all paths which a set of conditions reads get the same decision from
them. Agreement is exact: values are told apart by type (`1`, `1.0`, `true` and `"1"` differ), and
so are null, empty and absent, the latter also by how far the path leads.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import EvaluationError
from octelium.policy.cel.values import normalized
from octelium.policy.request import MISSING, NoRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.policy.request import Path, Request

MAX_PLAIN: Final = 1024
"""Characters of a text, or bytes of another value, that are kept as they are; else their hash."""

_MAX_DEPTH: Final = 64
_MULTIPLE: Final = frozenset({"headers", "queryParams", "path", "uri"})

Part = str | bytes
"""Of a key: a short text as it is, any other value in canonical bytes."""


def key_of(request: Request, paths: Sequence[Path]) -> tuple[Part, ...]:
    """Under what a decision that reads `paths` is remembered.

    Raises:
        EvaluationError: a value is not JSON.
    """
    parts: list[Part] = []
    for path in paths:
        value = request.read(path)
        if type(value) is str and len(value) <= MAX_PLAIN:
            parts.append(value)
        else:
            parts.append(canonical(request, path, value))
    return tuple(parts)


def canonical(request: Request, path: Path, value: object) -> bytes:
    """Canonical bytes of what `request.read(path)` gave."""
    out = bytearray()
    if isinstance(request, NoRequest):
        return b"-"
    if value is MISSING:
        depth, found = _deepest(request, path)
        out += b"x%d:" % depth
        if type(found) is not dict and found is not MISSING:
            _encode(found, out, 0)
    else:
        _encode(value, out, 0)
    return bytes(out) if len(out) <= MAX_PLAIN else b"h" + blake2b(out, digest_size=32).digest()


def _deepest(request: Request, path: Path) -> tuple[int, object]:
    """How far an absent path leads, and what stands there; at depth 0 nothing is looked up."""
    for depth in range(len(path) - 1, 0, -1):
        found = request.read(path[:depth])
        if found is not MISSING:
            return depth, found
    return 0, MISSING


def _encode(value: Any, out: bytearray, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise EvaluationError(f"the request holds a value nested more than {_MAX_DEPTH} levels")
    kind = type(value)
    if kind is str:
        data = value.encode("utf-8", "surrogatepass")
        out += b"s%d:" % len(data)
        out += data
    elif value is None or kind is bool:
        out += {None: b"n", True: b"t", False: b"f"}[value]
    elif kind is int:
        out += b"i%d:" % value
    elif kind is float:
        out += b"d"
        out += struct.pack(">d", value)
    elif kind is list:
        out += b"l%d:" % len(value)
        for item in value:
            _encode(item, out, depth + 1)
    elif kind is dict:
        out += b"m%d:" % len(value)
        for name, item in value.items():
            _encode(name, out, depth + 1)
            _encode(item, out, depth + 1)
    else:
        raise EvaluationError(f"the request holds a {kind.__name__}, which is no JSON value")


def observe(request: Request, paths: Sequence[Path]) -> dict[str, Any] | None:
    """`ctx.request` as far as `paths` lead into it; None if the stream has no request object.

    No path may lie below another.
    """
    if isinstance(request, NoRequest):
        return None
    seen: dict[str, Any] = {}
    for path in paths:
        value = request.read(path)
        if not path:
            return _object(value)
        depth = len(path)
        if value is MISSING:
            depth, value = _deepest(request, path)
            if value is MISSING:
                continue
            if type(value) is dict:
                value = {}
        _put(seen, path[:depth], normalized(value))
    return seen


def _object(value: object) -> dict[str, Any]:
    whole = normalized(value)
    if type(whole) is not dict:
        raise EvaluationError("the request is no JSON object")
    return whole


def _put(target: dict[str, Any], path: Path, value: object) -> None:
    """Set `value` at `path`, without undoing what stands there: it comes of the same request."""
    for name in path[:-1]:
        target = target.setdefault(name, {})
        if type(target) is not dict:
            return
    target.setdefault(path[-1], value)


def ambiguous(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Those of `paths` at which something may be given more than once, or be read in two ways.

    That is headers, query parameters and the path, which stand below a member `http` of any depth.
    """
    return tuple(path for path in paths if not _unique(path))


def _unique(path: Path) -> bool:
    """Whether the path names a value of which there is one, and one way to read it."""
    if len(path) < 2:
        return path == ("ip",)
    if "http" in path:
        inner = path[path.index("http") + 1 :]
        return bool(inner) and inner[0] not in _MULTIPLE
    return True
