"""What the rules that read and write resources need of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Transaction(Protocol):
    """Reads and writes that take effect together, alone, or not at all.

    Messages that come out are the caller's own: to change one and leave it is to change nothing.
    """

    def find(self, kind: str, *, uid: str = "", name: str = "") -> Any | None:
        """The resource of that uid or name, or `None`."""
        ...

    def list(self, kind: str) -> Iterable[Any]:
        """Every resource of a kind."""
        ...

    def create(self, message: Any) -> Any:
        """Store a new resource; return it with its uid."""
        ...

    def update(self, message: Any) -> Any:
        """Replace the stored resource of the same uid; return it."""
        ...

    def delete(self, kind: str, uid: str) -> object:
        """Remove a resource."""
        ...
