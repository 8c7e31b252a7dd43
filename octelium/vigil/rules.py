"""What a configuration does to the header fields of requests and responses.

The result for one section of bytes and one set of rules is always the same unless an expression
takes part, so it is kept with the section.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from octelium.http.message import Field, FieldBlock, Fields
from octelium.http.syntax import connection_options, elements, fold, is_token, is_value
from octelium.vigil.credentials import (
    is_own_authorization,
    sets_own_cookie,
    without_own_cookies,
)
from octelium.vigil.errors import Unserviceable
from octelium.vigil.fields import HOP_BY_HOP, Kind, classify, may_trail

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from octelium.http.message import HeaderBlock, RequestHead, ResponseHead
    from octelium.policy.decision import Decision
    from octelium.vigil.computed import Computed

    Context = Mapping[str, Any]

HSTS: Final = (b"strict-transport-security", b"max-age=2592000")
SERVER: Final = (b"server", b"octelium")

_FRAMING: Final = HOP_BY_HOP | {b"content-length", b"host"}
_BY: Final = "_octelium-" + secrets.token_hex(3)
"""How this process calls itself in `Forwarded`."""


_MAX_VERDICTS: Final = 4096
LOOP: Final = b"cdn-loop"
"""RFC 8586: every Cluster on the way of a request adds its name, and nobody takes one away."""
MAX_PASSES: Final = 8
"""Times that a request may pass one Cluster."""


class Verdict(Enum):
    """What becomes of a received field."""

    KEEP = "passed on"
    DROP = "left out"
    CUT = "passed on without Octelium's cookies"
    TRAILERS = "passed on if it says trailers"
    FOREIGN = "passed on unless it is one of Octelium's tokens"
    CHECK = "passed on unless it sets one of Octelium's cookies"


@dataclass(frozen=True, slots=True)
class Addition:
    """A field that a configuration adds: a fixed value, or an expression over `ctx`."""

    name: bytes
    value: bytes = b""
    expression: Computed | None = None
    append: bool = False

    def resolve(self, context: Callable[[], Mapping[str, Any]]) -> bytes | None:
        """The value; None if the expression has none that can stand in a field."""
        if self.expression is None:
            return self.value
        text = self.expression.text(context())
        if text is None:
            return None
        value = text.encode("utf-8", "replace")
        if is_value(value) is None:
            self.expression.useless("the result cannot stand in a header field")
            return None
        return value


def _resolved(
    additions: Sequence[Addition], omitted: Container[bytes], context: Callable[[], Context]
) -> list[Field]:
    """The fields that are added, without those of the names in `omitted`."""
    found = ((one.name, one.resolve(context)) for one in additions if one.name not in omitted)
    return [(name, value) for name, value in found if value is not None]


def checked_name(name: str) -> bytes:
    """The lower-case name of a field that a configuration adds or removes.

    Raises:
        Unserviceable: it is no field name, or one that frames the message.
    """
    raw = name.lower().encode()
    if is_token(raw) is None:
        raise Unserviceable(f"{name!r} is not a header field's name")
    if fold(raw) in _FRAMING:
        raise Unserviceable(f"field {name} belongs to the connection and cannot be set")
    return raw


def checked_value(value: str | bytes, what: str) -> bytes:
    """A field value out of a configuration or a Secret.

    Raises:
        Unserviceable: it contains what no field value can.
    """
    raw = value.encode() if isinstance(value, str) else value
    if is_value(raw) is None:
        raise Unserviceable(f"the value of {what} cannot stand in a header field", 502)
    return raw


@dataclass(frozen=True, slots=True, eq=False)
class RequestRules:
    """From a client's fields to the upstream's."""

    additions: Sequence[Addition] = ()
    removals: frozenset[bytes] = frozenset()
    credentials: Sequence[Field] = ()
    pass_authorization: bool = False
    pass_forwarding: bool = False
    obfuscate: bool = False
    managed: bool = False
    grpc: bool = False
    pseudonym: bytes = b""
    """By what the Cluster knows a request again that comes back; empty where none can."""
    dropped: frozenset[bytes] = field(init=False)
    """Folded names of which nothing of the client's remains."""
    fixed: bool = field(init=False)
    """Whether the result depends on the section alone."""
    verdicts: dict[bytes, Verdict] = field(init=False, default_factory=dict)
    """What becomes of a field, by its lower-case name."""

    def __post_init__(self) -> None:
        replaced = {fold(a.name) for a in self.additions if not a.append}
        injected = {fold(name) for name, _ in self.credentials}
        removed = {fold(name) for name in self.removals}
        object.__setattr__(self, "dropped", frozenset(replaced | injected | removed))
        dynamic = any(a.expression is not None for a in self.additions)
        object.__setattr__(self, "fixed", not (dynamic or self.obfuscate or self.managed))

    def render(self, block: HeaderBlock, exchange: Callable[[], Exchange]) -> FieldBlock:
        """The section for the upstream.

        Raises:
            Unserviceable: the request goes round in circles.
        """
        if self.fixed:
            known: FieldBlock | None = block.derived.get(self)
            if known is not None:
                return known
        lines = self._kept(block)
        if self.pseudonym:
            if self._passes(block) >= MAX_PASSES:
                raise Unserviceable("the upstream leads back to this Cluster", 508)
            lines += (b"CDN-Loop: ", self.pseudonym, b"\r\n")
        added = self._added(exchange)
        for name, value in added:
            lines += (name, b": ", value, b"\r\n")
        if b"user-agent" not in block.index and all(n != b"user-agent" for n, _ in added):
            lines.append(b"User-Agent: octelium\r\n")
        length = block.index.get(b"content-length")
        result = FieldBlock.of_lines(b"".join(lines), None if length is None else int(length))
        if self.fixed:
            block.remember(self, result)
        return result

    def _passes(self, block: HeaderBlock) -> int:
        """How often the request has been here."""
        if LOOP not in block.index:
            return 0
        names = [name for value in block.all(LOOP) for name in elements(value)]
        return sum(name.partition(b";")[0].rstrip() == self.pseudonym for name in names)

    def _kept(self, block: HeaderBlock) -> list[bytes]:
        """The pieces of the client's lines that pass."""
        kept: list[bytes] = []
        verdicts = self.verdicts
        for name, spelling, value in zip(block.names, block.spellings, block.values, strict=True):
            verdict = verdicts.get(name)
            if verdict is None:
                verdict = self._judge(name)
            if verdict is Verdict.KEEP:
                kept += (spelling, b": ", value, b"\r\n")
            elif verdict is Verdict.CUT:
                rest = without_own_cookies(value)
                if rest:
                    kept += (spelling, b": ", rest, b"\r\n")
            elif verdict is Verdict.FOREIGN:
                if not is_own_authorization(value):
                    kept += (spelling, b": ", value, b"\r\n")
            elif verdict is Verdict.TRAILERS and b"trailers" in elements(value):
                kept.append(b"te: trailers\r\n")
        return kept

    def trailers(self, fields: Fields, block: HeaderBlock) -> Fields:
        """What of a client's trailers passes, if `block` tells that it deals in trailers."""
        if not fields or not (self.grpc or b"trailers" in elements(block.index.get(b"te", b""))):
            return ()
        dropped = self.dropped | {fold(addition.name) for addition in self.additions}
        return tuple([one for one in fields if may_trail(one[0]) and fold(one[0]) not in dropped])

    def _judge(self, name: bytes) -> Verdict:
        verdict = self._judged(name)
        if len(self.verdicts) >= _MAX_VERDICTS:
            self.verdicts.clear()
        self.verdicts[name] = verdict
        return verdict

    def _judged(self, name: bytes) -> Verdict:
        if name == LOOP:
            return Verdict.KEEP
        kind = classify(name)
        folded = fold(name)
        if self.grpc and name == b"te":
            return Verdict.TRAILERS
        if kind is Kind.NEVER or folded in self.dropped:
            return Verdict.DROP
        appended = {a.name for a in self.additions}
        if name not in appended and any(fold(other) == folded for other in appended):
            return Verdict.DROP
        if kind is Kind.COOKIE:
            return Verdict.KEEP if self.managed else Verdict.CUT
        if kind is Kind.AUTHORIZATION and self.pass_authorization and not self.managed:
            return Verdict.FOREIGN
        passes = {
            Kind.AUTHORIZATION: self.pass_authorization,
            Kind.OWN: self.managed,
            Kind.FORWARDING: self.pass_forwarding,
        }
        return Verdict.KEEP if passes.get(kind, True) else Verdict.DROP

    def _added(self, exchange: Callable[[], Exchange]) -> list[Field]:
        if not (self.additions or self.obfuscate or self.managed):
            return list(self.credentials)
        what = exchange()
        added = _resolved(self.additions, self.removals, what.context)
        # Credentials last: nothing that a configuration adds may stand beside or instead of them.
        injected = {fold(name) for name, _ in self.credentials}
        added = [one for one in added if fold(one[0]) not in injected]
        added += self.credentials
        if self.obfuscate:
            added += _obfuscated(what)
        if self.managed:
            added += _managed(what)
        return added


@dataclass(frozen=True, slots=True)
class Exchange:
    """What rules may look at."""

    head: RequestHead
    decision: Decision
    client_address: str
    path: bytes
    public_host: str
    context: Callable[[], Mapping[str, Any]]


def _obfuscated(exchange: Exchange) -> list[Field]:
    """Forwarding fields that tell an upstream how it is reached but not by whom (RFC 7239)."""
    host = exchange.public_host
    forwarded = f"for=_octelium-{secrets.token_hex(4)};by={_BY};proto=https;host={host}"
    return [
        (b"forwarded", forwarded.encode()),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", host.encode()),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"x-real-ip", b"10.0.0.1"),
    ]


def _managed(exchange: Exchange) -> list[Field]:
    """What the Cluster's own Services learn: who asks, from where, for what."""
    head = exchange.head
    address = exchange.client_address.encode()
    added = [
        (b"x-forwarded-host", head.host),
        (b"x-forwarded-proto", head.scheme),
        (b"x-octelium-client-address", address),
        (b"x-octelium-req-path", exchange.path),
    ]
    if address:
        added.append((b"x-forwarded-for", address))
    origin = head.block.first(b"origin")
    if origin is not None:
        added.append((b"x-octelium-origin", origin))
    session = exchange.decision.session
    if session is not None:
        reference = {
            "apiVersion": "core/v1",
            "kind": "Session",
            "uid": session.uid,
            "name": session.name,
            "resourceVersion": session.resource_version,
        }
        added.append((b"x-octelium-session-uid", session.uid.encode()))
        added.append(
            (b"x-octelium-session-ref", json.dumps(reference, separators=(",", ":")).encode())
        )
    return added


_CORS_FIELDS: Final = frozenset(
    b"access-control-" + name
    for name in (
        *(b"allow-origin", b"allow-credentials", b"allow-methods", b"allow-headers"),
        *(b"expose-headers", b"max-age", b"allow-private-network"),
    )
)
_POLICY: Final = b"cross-origin-resource-policy"


@dataclass(frozen=True, slots=True, eq=False)
class ResponseRules:
    """From an upstream's fields to the client's. `front` is for clients of the front door.

    `secluded` is for those of tunnels, where pages of other origins must not read what comes back:
    the upstream's own CORS fields do not pass, and other sites get none of its pictures and
    scripts unless the upstream itself says who may (Fetch standard, sections 3.2 and 3.7).
    """

    additions: Sequence[Addition] = ()
    removals: frozenset[bytes] = frozenset()
    managed: bool = False
    front: bool = True
    secluded: bool = False
    dropped: frozenset[bytes] = field(init=False)
    fixed: bool = field(init=False)
    verdicts: dict[bytes, Verdict] = field(init=False, default_factory=dict)
    """What becomes of a field, by its lower-case name."""
    tail: bytes = field(init=False)
    """The lines that every response gets, if the rules are fixed."""

    def __post_init__(self) -> None:
        replaced = {a.name for a in self.additions if not a.append}
        dropped = HOP_BY_HOP | self.removals | replaced | {b"server", b"alt-svc"}
        if self.front:
            dropped |= {b"strict-transport-security"}
        if self.secluded:
            dropped |= _CORS_FIELDS
        object.__setattr__(self, "dropped", frozenset(dropped - {b"content-length"}))
        object.__setattr__(self, "fixed", all(a.expression is None for a in self.additions))
        tail = FieldBlock(self._added(None)).h1 if self.fixed else b""
        object.__setattr__(self, "tail", tail)

    def render(
        self, head: ResponseHead, exchange: Callable[[], Exchange], extra: Sequence[Field] = ()
    ) -> FieldBlock:
        """The section for the client; `extra` fields replace the upstream's of the same names."""
        block = head.block
        length = block.index.get(b"content-length")
        # A length in these would be wrong or forbidden (RFC 9110, section 8.6).
        cut_length = length is not None and (head.status < 200 or head.status == 204)
        plain = self.fixed and not extra and not cut_length
        if plain:
            known: FieldBlock | None = block.derived.get(self)
            if known is not None:
                return known
        lines = self._kept(block, extra, cut_length=cut_length)
        lines.append(self.tail if self.fixed else FieldBlock(self._added(exchange)).h1)
        if self.secluded and _POLICY not in block.index:
            lines += (_POLICY, b": same-site\r\n")
        for name, value in extra:
            lines += (name, b": ", value, b"\r\n")
        result = FieldBlock.of_lines(
            b"".join(lines), None if length is None or cut_length else int(length)
        )
        if plain:
            block.remember(self, result)
        return result

    def _kept(self, block: HeaderBlock, extra: Sequence[Field], *, cut_length: bool) -> list[bytes]:
        """The pieces of the upstream's lines that pass."""
        kept: list[bytes] = []
        dropped = {name for name, _ in extra}
        dropped.update(connection_options(block))
        # What frames the body belongs to no connection, whatever the upstream says: without it
        # the client would find another end than the one that the length promises.
        dropped.discard(b"content-length")
        if cut_length:
            dropped.add(b"content-length")
        verdicts = self.verdicts
        for name, spelling, value in zip(block.names, block.spellings, block.values, strict=True):
            verdict = verdicts.get(name)
            if verdict is None:
                verdict = self._judge(name)
            if (
                verdict is Verdict.DROP
                or (dropped and name in dropped)
                or (verdict is Verdict.CHECK and sets_own_cookie(value))
            ):
                continue
            kept += (spelling, b": ", value, b"\r\n")
        return kept

    def trailers(self, fields: Fields) -> Fields:
        """What of an upstream's trailers passes."""
        if not fields:
            return fields
        dropped = self.dropped
        return tuple([one for one in fields if may_trail(one[0]) and one[0] not in dropped])

    def _judge(self, name: bytes) -> Verdict:
        if name in self.dropped or (not self.managed and fold(name).startswith(b"x-octelium")):
            verdict = Verdict.DROP
        elif name == b"set-cookie" and not self.managed:
            verdict = Verdict.CHECK
        else:
            verdict = Verdict.KEEP
        if len(self.verdicts) >= _MAX_VERDICTS:
            self.verdicts.clear()
        self.verdicts[name] = verdict
        return verdict

    def _added(self, exchange: Callable[[], Exchange] | None) -> list[Field]:
        """The fields that every response gets; `exchange` is not needed by fixed rules."""

        def context() -> Mapping[str, Any]:
            assert exchange is not None
            return exchange().context()

        added = _resolved(self.additions, self.removals | {b"server"}, context)
        added.append(SERVER)
        if self.front:
            added = [one for one in added if one[0] != HSTS[0]]
            added.append(HSTS)
        return added
