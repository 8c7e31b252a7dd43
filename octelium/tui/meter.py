"""What the last minutes of the access log come to: rates, refusals, latency; and sparklines."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP: Final = 5
"""Seconds of one bar."""
BARS: Final = 60
_SAMPLES: Final = 200
"""Durations that are kept of one bar."""
_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as blocks; the highest is full, and 0 is a line at the bottom."""
    shown = list(values)[-width:] if width > 0 else []
    highest = max(shown, default=0)
    top = len(_BLOCKS) - 1
    bars = [
        _BLOCKS[max(1, round(value / highest * top))] if value > 0 else _BLOCKS[0]
        for value in shown
    ]
    return (_BLOCKS[0] * (width - len(bars)) if width > 0 else "") + "".join(bars)


@dataclass(slots=True)
class _Bar:
    number: int
    requests: int = 0
    refused: int = 0
    errors: int = 0
    durations: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of each bar, oldest first: requests, refusals and errors of the Cluster or of
    upstreams a second, and the time in seconds that 95 of 100 requests stay below.
    """

    requests: list[float]
    refused: list[float]
    errors: list[float]
    latency: list[float]


class Meter:
    """Counts entries of the access log by the second in which they ended."""

    def __init__(self) -> None:
        self._bars: deque[_Bar] = deque(maxlen=BARS)

    def add(self, entry: Any) -> None:
        """Count one entry."""
        common = entry.log.entry.common
        ended = common.ended_at if common.ended_at.seconds else common.started_at
        bar = self._bar(ended.seconds // STEP)
        if bar is None:
            return
        bar.requests += 1
        if common.status == core.AccessLogEntryCommonStatus__.DENIED:
            bar.refused += 1
        code = entry.log.entry.info.http.response.code
        if code >= 500:
            bar.errors += 1
        if len(bar.durations) < _SAMPLES and common.ended_at.seconds:
            start, end = common.started_at.ToNanoseconds(), common.ended_at.ToNanoseconds()
            bar.durations.append(max(0, end - start) / 1e9)

    def read(self, now: float) -> Reading:
        """What there is up to now, in Unix seconds."""
        newest = int(now) // STEP
        known = {bar.number: bar for bar in self._bars}
        bars = [known.get(number, _Bar(number)) for number in range(newest - BARS + 1, newest + 1)]
        return Reading(
            [bar.requests / STEP for bar in bars],
            [bar.refused / STEP for bar in bars],
            [bar.errors / STEP for bar in bars],
            [_quantile(bar.durations) for bar in bars],
        )

    def _bar(self, number: int) -> _Bar | None:
        if not self._bars or number > self._bars[-1].number:
            self._bars.append(_Bar(number))
            return self._bars[-1]
        return next((bar for bar in reversed(self._bars) if bar.number == number), None)


def _quantile(durations: list[float]) -> float:
    if not durations:
        return 0.0
    return sorted(durations)[min(len(durations) - 1, int(len(durations) * 0.95))]
