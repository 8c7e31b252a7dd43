"""What validation sees of the store: the transaction under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.store.reading import Reader


class TransactionView:
    """Look-ups for validation; the messages are shared and read-only."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def get(self, kind: str, name: str) -> Any | None:
        """The resource of that name, or None; Secrets and Configs with the data that rules read."""
        if not name:
            return None
        if kind in ("Secret", "Config"):
            return self._reader.find(kind, name=name)
        return self._reader.peek(kind, name=name)

    def list(self, kind: str) -> Iterable[Any]:
        """All resources of a kind."""
        return self._reader.peek_all(kind)

    def labelled(self, kind: str, label: str, value: str) -> Iterable[Any]:
        """The resources whose `metadata.specLabels` hold `label` with `value`."""
        return self._reader.peek_all(kind, by={f"specLabels.{label}": value})
