"""Entries of the access log as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.cli.ages import clock_time
from octelium.cli.columns import enum_name
from octelium.cli.inert import inert
from octelium.cli.table import line, shortened, width
from octelium.schema.jsonform import to_json
from octelium.visibility.dns import type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.cli.terminal import Terminal
    from octelium.client.accesslog import Entry

HEADERS = ("TIME", "WHO", "SERVICE", "REQUEST", "STATUS", "DECISION", "WHY")
_LEAST = (24, 12, 16, 24, 6, 8, 3)
_MOST = (24, 40, 40, 80, 6, 8, 120)
_REQUEST, _STATUS, _DECISION = 3, 4, 5
_LEAST_REQUEST = 16
_RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_ID = 22
"""Columns of an id."""


class JsonLines:
    """One entry per line, in the official JSON form."""

    def __init__(self, dump: Callable[[Any], str]) -> None:
        self._dump = dump

    def first(self, entries: Sequence[Entry]) -> list[str]:
        """The lines of the entries that are there."""
        return [self.next(entry) for entry in entries]

    def next(self, entry: Entry) -> str:
        """The line of one entry."""
        return self._dump(to_json(entry.log))


class TextLines:
    """Aligned columns; widths follow from the first entries, longer cells push the rest aside.

    On a terminal, lines are made to fit where that is possible by cutting the request.
    """

    def __init__(self, terminal: Terminal, *, ids: bool = False) -> None:
        """With `ids`, each line begins with the id of its entry."""
        self._terminal = terminal
        self._ids = ids
        self._columns = terminal.columns()
        self._widths: list[int] = list(_LEAST)

    def first(self, entries: Sequence[Entry]) -> list[str]:
        """The header and the lines of the entries that are there."""
        rows = [cells(entry) for entry in entries]
        ids = [_id(entry) for entry in entries]
        for column, most in enumerate(_MOST):
            longest = max((width(row[column]) for row in rows), default=0)
            self._widths[column] = min(most, max(self._widths[column], longest))
        if self._columns is not None:
            excess = width(line([" " * (size - 1) + "." for size in self._widths], self._widths))
            excess -= self._columns - (_ID + 2 if self._ids else 0)
            room = self._widths[_REQUEST] - max(excess, 0)
            self._widths[_REQUEST] = max(room, _LEAST_REQUEST)
        head = self._terminal.style(self._with_id("ID", line(HEADERS, self._widths)), "bold")
        return [head, *map(self._line, rows, ids)]

    def next(self, entry: Entry) -> str:
        """The line of one entry."""
        return self._line(cells(entry), _id(entry))

    def _with_id(self, entry: str, text: str) -> str:
        return line((entry, text), (_ID, 0)) if self._ids else text

    def _line(self, row: Sequence[str], entry: str) -> str:
        cut = list(row)
        if self._columns is not None:
            cut[_REQUEST] = shortened(row[_REQUEST], self._widths[_REQUEST])
        text = self._with_id(entry, line(cut, self._widths))
        if row[_DECISION] == "denied":
            return self._terminal.style(text, "red")
        if row[_STATUS].startswith("5"):
            return self._terminal.style(text, "yellow")
        return text


def cells(entry: Entry) -> tuple[str, ...]:
    """The columns of one entry; texts of the request are shown inert."""
    common = entry.log.entry.common
    texts = (
        clock_time(common.started_at),
        _who(common),
        common.service_ref.name,
        _request(entry.log.entry.info),
        _status(entry.log.entry.info),
        enum_name(common, "status").lower(),
        why(entry),
    )
    return tuple(inert(text) or "-" for text in texts)


def _id(entry: Entry) -> str:
    return inert(entry.log.metadata.id)


def why(entry: Entry) -> str:
    """The reason of the decision in words; also why Octelium itself answered, if it did."""
    common = entry.log.entry.common
    parts = [_reason(common.reason) or _without_reason(common), entry.error]
    return "; ".join(part for part in parts if part)


def _without_reason(common: Any) -> str:
    """Requests that no policy decided: anonymous Services, and senders nobody knows."""
    if enum_name(common, "status") == "ALLOWED":
        return "open to everybody" if common.is_anonymous else ""
    return "" if common.HasField("session_ref") or common.is_anonymous else "not signed in"


def _reason(reason: Any) -> str:
    name = enum_name(reason, "type")
    match reason.details.WhichOneof("type"):
        case "policy_match":
            return f"{_policy(reason.details.policy_match)}"
        case "session_not_active":
            state = enum_name(reason.details.session_not_active, "state").lower()
            return f"session not active ({state})" if state else "session not active"
    return name.replace("_", " ").lower()


def _policy(match: Any) -> str:
    if match.WhichOneof("type") == "inline_policy":
        owner = match.inline_policy.resource_ref
        where = f"{owner.kind} {owner.name}".strip()
        name = match.inline_policy.name
        text = f"inline policy {name} of {where}" if name else f"inline policy of {where}"
    else:
        text = f"policy {match.policy.policy_ref.name}"
    return f"{text}, rule {match.rule_name}" if match.rule_name else text


def _who(common: Any) -> str:
    name: str = common.user_ref.name
    if name:
        return name
    return "anonymous" if common.is_anonymous else "unknown"


def _http(info: Any) -> Any:
    chosen = info.WhichOneof("type")
    if chosen is None:
        return None
    part = getattr(info, chosen)
    if chosen == "http":
        return part
    return part.http if "http" in part.DESCRIPTOR.fields_by_name else None


def _request(info: Any) -> str:
    chosen = info.WhichOneof("type")
    if chosen == "grpc" and info.grpc.service_full_name:
        return f"{info.grpc.service_full_name}/{info.grpc.method}"
    if chosen == "dns":
        return f"{type_name(info.dns.type_id)} {info.dns.name}"
    http = _http(info)
    if http is not None:
        return f"{http.request.method} {http.request.uri or http.request.path}".strip()
    return str(chosen or "").upper()


def _status(info: Any) -> str:
    http = _http(info)
    if info.grpc.status:
        return f"grpc:{info.grpc.status}"
    if info.HasField("dns"):
        return _RCODES.get(info.dns.rcode, str(info.dns.rcode))
    return str(http.response.code or "") if http is not None else ""
