"""Following a stream that has no end, through outages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from octelium.client.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

_T = TypeVar("_T")

_PAUSES: Final = (0.5, 1.0, 2.0, 5.0)
_PASSING: Final = frozenset(
    {"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED"}
)


def follow(
    connect: Callable[[], Iterable[_T]],
    *,
    sleep: Callable[[float], None],
    warn: Callable[[str], None],
    note: Callable[[str], None] | None = None,
) -> Generator[_T, None, None]:
    """What `connect` gives, which is called again whenever that breaks or ends.

    `connect` raises ApiError while the Cluster is away. `warn` is told once that it is away, and
    `note`, or `warn` without one, once that it is back. Pauses between attempts grow until
    something came. Raises ApiError for refusals, which no waiting changes.
    """
    failures = 0
    away = False
    while True:
        try:
            entries = connect()
            if away:
                away = False
                (note or warn)("the Cluster is back")
            for entry in entries:
                failures = 0
                yield entry
        except ApiError as error:
            if error.code not in _PASSING:
                raise
            if not away:
                away = True
                warn(f"the Cluster is away ({error}); trying until it is back")
        sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
        failures += 1
