"""`octeliumctl get --watch`: what there is, and then what happens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.cli.formats import json_line, yaml_text
from octelium.cli.resources import short_name, table_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octelium.cli.invocation import Invocation
    from octelium.schema.kinds import Kind

LISTED: Final = "LISTED"
"""What is said of a resource that was there from the beginning."""


class Lines(Protocol):
    """A form of output."""

    def first(self, items: Sequence[Any]) -> list[str]:
        """What is written for the resources that are there."""
        ...

    def next(self, happened: str, item: Any) -> str:
        """What is written when something happens to one."""
        ...


def show_changes(
    invocation: Invocation,
    kind: Kind,
    names: Sequence[str],
    filters: Mapping[str, str],
    output: str,
) -> None:
    """Write the resources of a kind, and how they change, without end.

    With `names` (or uids) only those, whether they exist already or not. Raises ClientError.
    """
    from octelium.client.watching import ChangeType, Watching
    from octelium.schema.names import full_service_name

    wanted = {full_service_name(name) if kind.name == "Service" else name for name in names}
    wanted.update(names)

    def is_wanted(item: Any) -> bool:
        return not wanted or item.metadata.name in wanted or item.metadata.uid in wanted

    terminal = invocation.terminal
    watching = Watching(
        invocation.client.api,
        [kind],
        filters,
        sleep=invocation.sleep,
        warn=terminal.warn,
        note=terminal.note,
    )
    lines = _lines(invocation, kind, output)
    items = [item for item in watching.load() if is_wanted(item)]
    for text in lines.first(items):
        terminal.show(text)
    last = {item.metadata.uid: item for item in items}
    for change in watching.changes():
        item = change.resource
        if not is_wanted(item):
            continue
        if change.type is ChangeType.DELETED:
            before = last.pop(change.uid, item)
            if not item.metadata.resource_version:  # a list that lacks it says no more than that
                item = before
        else:
            last[change.uid] = item
        terminal.show(lines.next(change.type.value, item))


def _lines(invocation: Invocation, kind: Kind, output: str) -> Lines:
    match output:
        case "json":
            return JsonLines()
        case "yaml":
            return YamlDocuments()
        case "name":
            return NameLines(kind)
    return TableLines(invocation, kind)


class JsonLines:
    """One object per line: `{"type": "ADDED", "resource": {…}}`."""

    def first(self, items: Sequence[Any]) -> list[str]:
        """A line for each."""
        return [self.next(LISTED, item) for item in items]

    def next(self, happened: str, item: Any) -> str:
        """One line."""
        return json_line(_event(happened, item))


class YamlDocuments:
    """The same as documents."""

    def first(self, items: Sequence[Any]) -> list[str]:
        """A document for each."""
        return [self.next(LISTED, item) for item in items]

    def next(self, happened: str, item: Any) -> str:
        """One document."""
        return "---\n" + yaml_text(_event(happened, item))


class NameLines:
    """`added service/wiki.default`."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def first(self, items: Sequence[Any]) -> list[str]:
        """A line for each."""
        return [self.next(LISTED, item) for item in items]

    def next(self, happened: str, item: Any) -> str:
        """One line."""
        return f"{happened.lower()} {short_name(self._kind, item.metadata.name)}"


class TableLines:
    """Rows of the kind's table; longer cells than at first push the rest of their row aside."""

    def __init__(self, invocation: Invocation, kind: Kind) -> None:
        self._invocation = invocation
        self._kind = kind
        self._widths: list[int] = []

    def first(self, items: Sequence[Any]) -> list[str]:
        """The header and a row for each."""
        from octelium.cli.table import line, widest

        headers, cells = table_cells(self._invocation, self._kind, items)
        rows = [["CHANGE", *headers], *(self._row(LISTED, row) for row in cells)]
        self._widths = [widest(column) for column in zip(*rows, strict=True)]
        self._widths[0] = len("MODIFIED")
        head, *others = (line(row, self._widths) for row in rows)
        return [self._invocation.terminal.style(head, "bold"), *others]

    def next(self, happened: str, item: Any) -> str:
        """One row."""
        from octelium.cli.table import line

        _, [cells] = table_cells(self._invocation, self._kind, [item])
        text = line(self._row(happened, cells), self._widths)
        styles = {"ADDED": ("green",), "DELETED": ("red",)}.get(happened, ())
        return self._invocation.terminal.style(text, *styles) if styles else text

    def _row(self, happened: str, cells: Sequence[str]) -> list[str]:
        from octelium.cli.inert import inert

        return [happened, *(inert(cell) or "-" for cell in cells)]


def _event(happened: str, item: Any) -> dict[str, Any]:
    from octelium.schema.jsonform import to_json

    return {"type": happened, "resource": to_json(item)}
