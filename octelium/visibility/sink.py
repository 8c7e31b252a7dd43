"""The worker's end of the access log: records in, batches out, bounded while nobody takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.visibility.batch import LONGEST_TARGET, encode, new_prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.visibility.record import AccessRecord


class BatchingSink:
    """Collects records and hands them on in batches.

    `send(batch)` returns whether the batch was taken; if not (the control process is away or too
    slow), records wait, at most `capacity` of them. The second half of that room is for requests
    of known Sessions, so that a flood of refused ones cannot push them out. What finds no room is
    counted in `dropped`. `wake` is called with the first record after a `flush` that left none.
    """

    def __init__(
        self,
        send: Callable[[bytes], bool],
        *,
        batch_size: int = 2000,
        capacity: int = 20_000,
        wake: Callable[[], None] | None = None,
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
        self._wake = wake
        # On the hot path `append` is the list's own method for as long as there is room.
        self.append: Callable[[AccessRecord], None] = self._first

    def __len__(self) -> int:
        """Records that wait."""
        return len(self._records)

    @property
    def full(self) -> bool:
        """Whether records are being lost."""
        return len(self._records) >= self._capacity

    def flush(self) -> bool:
        """Hand on what has been collected; false if records had to stay."""
        records = self._records
        done = 0
        stayed: list[AccessRecord] = []
        while done < len(records) and not stayed:
            part = records[done : done + self._batch_size]
            done += len(part)
            for group in _apart(part):
                if stayed or not self._send(encode(self.prefix, group)):
                    stayed += group
                else:
                    self.written += len(group)
        records[:done] = stayed
        for record in records:  # what waits must not hold long targets
            record.target = record.target[:LONGEST_TARGET]
        crowded = len(records) * 2 >= self._capacity
        if not records:
            self.append = self._first
        else:
            self.append = self._append_if_known if crowded else records.append
        return not records

    def _first(self, record: AccessRecord) -> None:
        self._records.append(record)
        self.append = self._records.append
        if self._wake is not None:
            self._wake()

    def _append_if_known(self, record: AccessRecord) -> None:
        if record.subject.authenticated and len(self._records) < self._capacity:
            self._records.append(record)
        else:
            self.dropped += 1


def _apart(records: list[AccessRecord]) -> list[list[AccessRecord]]:
    """Records of somebody, and of nobody, which the store bounds by themselves."""
    known = [record for record in records if record.subject.authenticated]
    if len(known) == len(records) or not known:
        return [records]
    return [known, [record for record in records if not record.subject.authenticated]]
