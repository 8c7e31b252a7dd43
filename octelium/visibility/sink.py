"""The worker's end of the access log: records in, batches out, bounded while nobody takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.visibility.batch import encode, new_prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.visibility.record import AccessRecord


class BatchingSink:
    """Collects records and hands them on in batches.

    `send(batch)` returns whether the batch was taken; if not (the control process is away), the
    records wait, at most `capacity` of them, after which new ones are counted in `dropped`.
    """

    def __init__(
        self, send: Callable[[bytes], bool], *, batch_size: int = 2000, capacity: int = 200_000
    ) -> None:
        self.prefix = new_prefix()
        self.written = 0
        """Records handed on."""
        self.dropped = 0
        """Records lost because nobody took them in time."""
        self._send = send
        self._batch_size = batch_size
        self._capacity = capacity
        self._records: list[AccessRecord] = []
        # On the hot path `append` is the list's own method for as long as there is room.
        self.append: Callable[[AccessRecord], None] = self._records.append

    def __len__(self) -> int:
        """Records that wait."""
        return len(self._records)

    def flush(self) -> bool:
        """Hand on what has been collected; false if records had to stay."""
        records = self._records
        done = 0
        while done < len(records):
            part = records[done : done + self._batch_size]
            if not self._send(encode(self.prefix, part)):
                break
            done += len(part)
        del records[:done]
        self.written += done
        full = len(records) >= self._capacity
        self.append = self._drop if full else records.append
        return not records

    def _drop(self, _record: AccessRecord) -> None:
        self.dropped += 1
