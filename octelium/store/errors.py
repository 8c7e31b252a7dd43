"""What can go wrong with a store, by the gRPC status that a client of the API sees."""

from __future__ import annotations

from typing import ClassVar


class StoreError(Exception):
    """An operation that the store refused or could not do.

    `code` is the name of the gRPC status; `str()` is one readable sentence.
    """

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(StoreError):  # noqa: N818  (reads as the verdict that it is)
    """No resource has this name or uid, or a list has no such page."""

    code = "NOT_FOUND"


class AlreadyExists(StoreError):  # noqa: N818  (as NotFound)
    """Another resource of the kind has this name."""

    code = "ALREADY_EXISTS"


class ResourceChanged(StoreError):  # noqa: N818  (as NotFound)
    """The resource or the store moved on since the caller read it: read again, then retry."""

    code = "OUT_OF_RANGE"


class Compacted(StoreError):  # noqa: N818  (as NotFound)
    """History no longer reaches back to the revision asked for: list, then watch from there."""

    code = "OUT_OF_RANGE"


class InvalidArgument(StoreError):  # noqa: N818  (as NotFound)
    """The request cannot be right, whatever the store holds."""

    code = "INVALID_ARGUMENT"


class PermissionDenied(StoreError):  # noqa: N818  (as NotFound)
    """The resource may not be touched this way."""

    code = "PERMISSION_DENIED"


class Unavailable(StoreError):  # noqa: N818  (as NotFound)
    """The store cannot answer at present: a full or failing disk, a lock held too long."""

    code = "UNAVAILABLE"


class StoreUnusable(StoreError):  # noqa: N818  (as NotFound)
    """The store cannot be opened: in use elsewhere, damaged, from a newer release, no key.

    Nothing was changed. The message says what to do.
    """

    code = "FAILED_PRECONDITION"
