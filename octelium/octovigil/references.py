"""References to resources as access-log entries carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.schema.kinds import KINDS

if TYPE_CHECKING:
    from octelium.replica.replica import Entry

_CORE: Final = "core/v1"


def reference(entry: Entry[Any]) -> dict[str, Any]:
    """The JSON form of an `ObjectReference` to the version of the resource in `entry`."""
    kind = KINDS.get(entry.kind)
    form = {
        "apiVersion": _CORE if kind is None else kind.api,
        "kind": entry.kind,
        "uid": entry.uid,
        "name": entry.name,
    }
    if version := entry.resource_version:
        form["resourceVersion"] = version
    return form
