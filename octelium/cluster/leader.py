"""Which of the controllers that are connected is the one whose word counts."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 64
"""Controllers whose claims are remembered."""


class Leader:
    """The newest that says it leads counts, until it says otherwise or is silent.

    One that holds the Lease says so; one that loses it finds out before another can have it, or
    says so before it claims it anew. So of two that claim to lead the one that began last does.
    `silent` is in seconds.
    """

    def __init__(self, silent: float, clock: Callable[[], float]) -> None:
        self._silent = silent
        self._clock = clock
        self._claims: OrderedDict[bytes, None] = OrderedDict()
        self._reader: bytes | None = None
        self._heard = 0.0

    @property
    def known(self) -> bool:
        """Whether anybody leads."""
        return self._reader is not None and self._clock() - self._heard < self._silent

    def counts(self, reader: bytes, *, leading: bool) -> bool:
        """Whether `reader`, which says whether it leads, is the one that does."""
        began = leading and reader not in self._claims
        if leading:
            self._claims[reader] = None
            self._claims.move_to_end(reader)
            if len(self._claims) > _MOST:
                self._claims.popitem(last=False)
        else:
            self._claims.pop(reader, None)
        if not leading:
            if self._reader == reader:
                self._reader = None
            return False
        if began or not self.known:
            self._reader = reader
        if self._reader != reader:
            return False
        self._heard = self._clock()
        return True
