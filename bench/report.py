"""Results as tables, or as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Measure:
    """One quantity of one subject, in all rounds."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass
class Bar:
    """A bound that this project sets itself."""

    text: str
    value: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the value is within the limit."""
        return self.value <= self.limit


@dataclass
class Report:
    """Everything that one benchmark found."""

    title: str
    rows: dict[str, list[Measure]] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: str, name: str, unit: str, value: float) -> None:
        """Note a value of a round."""
        measures = self.rows.setdefault(row, [])
        for measure in measures:
            if measure.name == name:
                measure.values.append(value)
                return
        measures.append(Measure(name, unit, [value]))

    def median(self, row: str, name: str) -> float:
        """The median of all rounds."""
        return next(m for m in self.rows[row] if m.name == name).median

    def values(self, row: str, name: str) -> list[float]:
        """Those of all rounds."""
        return next(m for m in self.rows[row] if m.name == name).values

    def to_json(self) -> str:
        """All values, medians and bars."""
        return json.dumps(
            {
                "title": self.title,
                "machine": machine(),
                "rows": {
                    row: {
                        m.name: {"unit": m.unit, "median": m.median, "values": m.values}
                        for m in measures
                    }
                    for row, measures in self.rows.items()
                },
                "bars": [
                    {
                        "bar": bar.text,
                        "value": bar.value,
                        "limit": bar.limit,
                        "unit": bar.unit,
                        "met": bar.met,
                    }
                    for bar in self.bars
                ],
                "notes": self.notes,
            },
            indent=2,
        )

    def to_text(self) -> str:
        """Tables for people: medians, with the least and the greatest value."""
        names: dict[str, str] = {}
        for measures in self.rows.values():
            for measure in measures:
                names.setdefault(measure.name, measure.unit)
        table = [["", *[f"{name} {unit}".strip() for name, unit in names.items()]]]
        for row, measures in self.rows.items():
            found = {measure.name: measure for measure in measures}
            table.append([row, *[_cell(found.get(name)) for name in names]])
        parts = [self.title, "", *_aligned(table), ""]
        for bar in self.bars:
            mark = "ok    " if bar.met else "MISSED"
            value, limit = _number(bar.value), _number(bar.limit)
            parts.append(f"{mark}  {bar.text}: {value} (bar {limit}) {bar.unit}".rstrip())
        parts += ["", *self.notes, f"{machine()}"]
        return "\n".join(parts)


def machine() -> str:
    """The machine in one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return (
        f"{model}, {cores} cores, kernel {platform.release()}, Python {platform.python_version()}"
    )


def _cell(measure: Measure | None) -> str:
    if measure is None:
        return "-"
    if len(measure.values) == 1:
        return _number(measure.median)
    low, high = _number(min(measure.values)), _number(max(measure.values))
    return f"{_number(measure.median)} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cells[column]) for cells in table) for column in range(len(table[0]))]
    lines = []
    for cells in table:
        first, *others = cells
        padded = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *padded]))
    return lines
