"""The Cluster at a glance: requests, refusals, latency, what there is, what works."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from octelium.tui.kinds import ACCESS
from octelium.tui.lines import Line, Tone, told
from octelium.tui.meter import BARS, STEP, Meter, sparkline
from octelium.tui.pager import Pager
from octelium.tui.screens.area import Area

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.tui.actions import Place
    from octelium.tui.app import Terminal
    from octelium.tui.feeds import Feed
    from octelium.tui.rows import Row

_LABEL: Final = 14
_VALUE: Final = 14
_RETRY: Final = 5.0
"""Seconds after which is asked again what the Cluster did not answer."""
_HEALTH: Final = 60.0
"""Seconds between two diagnoses, as each sends traffic through the Cluster."""


class Overview(Area):
    """Numbers of the last minutes, and the Cluster's own diagnosis."""

    title_text = "Overview"

    def __init__(self, base: Place, app: Terminal) -> None:
        self.pager = Pager()
        super().__init__(base, self.pager)
        self.meter = Meter()
        self._data = app.data
        self._feed: Feed[tuple[Row, Any]] | None = None
        self._counts: dict[str, int] = {}
        self._health: list[Line] = [Line("Looking…", Tone.DIM)]
        self._note = ""
        self._is_late = False

    def on_mount(self) -> None:
        """Begin to count."""
        super().on_mount()
        self._feed = self._data.log(ACCESS, {})
        self.refresh_data()
        self.take()
        self.set_interval(1.0, self.take)
        self.set_interval(_HEALTH, self.refresh_data)

    def on_unmount(self) -> None:
        """Stop to count."""
        if self._feed is not None:
            self._feed.stop()

    def refresh_data(self) -> None:
        """Count resources, and diagnose."""
        ask = partial(self.app.ask, keep=True, failed=self._fail)
        ask(self._data.counts, self._take_counts, "counting")
        ask(self._data.health, self._take_health, "looking at every part")

    def _fail(self, error: Exception) -> None:
        """Say what went wrong, and ask again soon."""
        self.app.tell_error(error)
        if not self._is_late and self.is_mounted:
            self._is_late = True
            self.set_timer(_RETRY, self._again)

    def _again(self) -> None:
        self._is_late = False
        self.tell("")
        self.refresh_data()

    def _take_counts(self, counts: dict[str, int]) -> None:
        self._counts = counts
        self._draw()

    def _take_health(self, lines: list[Line]) -> None:
        self._health = lines or [Line("Nothing was told.", Tone.DIM)]
        self._draw()

    def take(self) -> None:
        """Count what came."""
        if self._feed is not None:
            for _, entry in self._feed.take():
                self.meter.add(entry)
            if self._feed.problem is not None:
                self._note = f"Requests are not counted: {self._feed.problem}"
                self._feed.problem = None
        self._draw()

    def _draw(self) -> None:
        width = self.pager.size.width
        reading = self.meter.read(self.app.now())
        room = min(BARS, max(10, width - _LABEL - _VALUE - 4))
        minutes = room * STEP // 60
        lines = [Line(f"The last {minutes} minutes", Tone.HEADING)]
        lines.append(self._bar("Requests", reading.requests, room, "/s", Tone.ACCENT))
        lines.append(self._bar("Refused", reading.refused, room, "/s", Tone.BAD))
        lines.append(self._bar("Errors (5xx)", reading.errors, room, "/s", Tone.WARN))
        latency = [value * 1000 for value in reading.latency]
        lines.append(self._bar("Latency p95", latency, room, " ms", Tone.GOOD))
        if self._note:
            lines += told(self._note, Tone.WARN)
        lines += [Line(""), Line("In the Cluster", Tone.HEADING)]
        counts = "   ".join(f"{name} {count}" for name, count in self._counts.items())
        lines += told(counts or "Counting…", Tone.PLAIN if counts else Tone.DIM)
        lines += [Line(""), Line("Health", Tone.HEADING), *self._health]
        self.pager.show(lines)

    def _bar(self, label: str, values: Sequence[float], room: int, unit: str, tone: Tone) -> Line:
        newest = next((value for value in reversed(values) if value), 0.0)
        # The bar of this moment is not over yet.
        current = values[-2] if len(values) > 1 and unit == "/s" else newest
        shown = f"{current:.1f}{unit}" if current < 100 else f"{current:.0f}{unit}"
        is_quiet = not any(values)
        bars = sparkline(values, room)
        return Line(
            f"{label:<{_LABEL}}{bars} {shown:>{_VALUE - 2}}", Tone.DIM if is_quiet else tone
        )
