"""The terminal interface with many resources and a busy log: `./build.sh bench tui`.

One process draws 5,000 Services and 10,000 Sessions on 200 columns and 60 lines, from the bytes
that the API sends, and then a log that grows by 500 entries a second. The rest of the Cluster is
not measured: its answers lie ready in memory.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import TYPE_CHECKING, Any

from bench.report import Bar, Report
from octelium.schema.kinds import KINDS
from octelium.tui.app import Terminal
from octelium.tui.data import FIRST, Update
from octelium.tui.feeds import Feed
from octelium.tui.journal import access_row
from octelium.tui.kinds import ADMINISTRATION
from tests.tui.fake import Fake, access, item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.tui.kinds import View
    from octelium.tui.rows import Row

SERVICES = 5_000
SESSIONS = 10_000
RATE = 500
SIZE = (200, 60)
_KEYS = 40
_BATCH = 0.05


class Busy(Fake):
    """Many resources as bytes, and a log that does not stop."""

    def __init__(self) -> None:
        super().__init__()
        spec = {"mode": "HTTP", "isPublic": True, "authorization": {"policies": ["staff"]}}
        self.stored = {
            "Service": [
                item("Service", f"service-{n}.default", age=n, spec=spec).SerializeToString()
                for n in range(SERVICES)
            ],
            "Session": [
                item(
                    "Session",
                    f"user-{n}-x7k2",
                    age=n,
                    spec={"state": "ACTIVE"},
                    status={"type": "CLIENT", "userRef": {"name": f"user-{n % 900}"}},
                ).SerializeToString()
                for n in range(SESSIONS)
            ],
        }

    def rows(self, view: View) -> Feed[Update]:
        assert view.kind is not None
        message = KINDS[view.kind.name].message
        stored = self.stored[view.kind.name]

        def read(contents: list[bytes]) -> list[Row]:
            return [view.row(message.FromString(content)) for content in contents]

        def produce(feed: Feed[Update]) -> Iterator[Update]:
            yield Update(read(stored[:FIRST]), whole=True, complete=False)
            yield Update(read(stored), whole=True)
            feed.pause(3600)

        feed: Feed[Update] = Feed(produce, name="rows")
        self.feeds.append(feed)
        return feed.start()

    def log(
        self,
        view: View,  # noqa: ARG002  (as the seam has it)
        narrowed: dict[str, str],  # noqa: ARG002
    ) -> Feed[tuple[Row, Any]]:
        def produce(feed: Feed[tuple[Row, Any]]) -> Iterator[tuple[Row, Any]]:
            number, began = 0, time.monotonic()
            while True:
                due = int((time.monotonic() - began) * RATE)
                while number < due:
                    number += 1
                    path = f"/path/{number}\x1b[2J\u202e"
                    one = access(number % 9999, user="ann", service="wiki.default", path=path,
                                 allowed=number % 7 > 0, code=200)  # fmt: skip
                    one.log.metadata.id = f"id-{number}"
                    yield access_row(one), one
                feed.pause(_BATCH)

        feed: Feed[tuple[Row, Any]] = Feed(produce, name="log", most=5000)
        self.feeds.append(feed)
        return feed.start()


def run(rounds: int, seconds: int) -> Report:
    """Measure; the bars are those of the project."""
    report = Report("The terminal interface")
    first, key, cpu = [], [], []
    gc.collect()
    gc.freeze()  # as the command does
    for _ in range(rounds):
        found = asyncio.run(_round(max(2, seconds)))
        for name, values in found.items():
            for value in values:
                report.add(name, "value", "ms" if name != "CPU" else "%", value)
        first += found["first page of Services"] + found["first page of Sessions"]
        key += found["a key, Services"] + found["a key, Sessions"] + found["a key, log"]
        cpu += found["CPU"]
    report.bars += [
        Bar("the first page is there", max(first), 1000, "ms"),
        Bar("a key is answered, 95 of 100", sorted(key)[int(len(key) * 0.95)], 100, "ms"),
        Bar(f"CPU of a core at {RATE} entries a second", sorted(cpu)[len(cpu) // 2], 50, "%"),
    ]
    report.notes.append(
        f"{SERVICES} Services, {SESSIONS} Sessions, {RATE} entries a second, "
        f"{SIZE[0]} columns and {SIZE[1]} lines; the CPU that makes the entries is counted too"
    )
    return report


async def _round(seconds: int) -> dict[str, list[float]]:
    data = Busy()
    app = Terminal(data, [view for view in ADMINISTRATION if view.id != "overview"])
    found: dict[str, list[float]] = {}
    try:
        async with app.run_test(size=SIZE) as pilot:
            for word, title in (("service", "Services"), ("session", "Sessions")):
                view = app.views.find(word)
                assert view is not None
                began = time.perf_counter()
                app.go(view)
                await _until(lambda: bool(getattr(app.area, "model", ())))
                found[f"first page of {title}"] = [(time.perf_counter() - began) * 1000]
                total = len(data.stored[view.kind.name if view.kind else ""])
                await _until(lambda total=total: len(app.area.model) == total)  # type: ignore[union-attr]
                found[f"all {title}"] = [(time.perf_counter() - began) * 1000]
                found[f"a key, {title}"] = await _keys(app)
            log = app.views.find("access")
            assert log is not None
            app.go(log)
            await pilot.pause(1.0)
            began, used = time.perf_counter(), time.process_time()
            await pilot.pause(float(seconds))
            spent = time.process_time() - used
            found["CPU"] = [100 * spent / (time.perf_counter() - began)]
            found["a key, log"] = await _keys(app)
    finally:
        for feed in data.feeds:
            feed.stop()
    return found


async def _until(holds: Any, limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the interface did not get there")
        await asyncio.sleep(0.002)


async def _keys(app: Terminal) -> list[float]:
    """Milliseconds from a key to the changed table, drawn whole."""
    from textual import events

    table = app.area.table  # type: ignore[union-attr]
    taken = []
    for number in range(_KEYS):
        if number % 2:
            key = "up" if table.cursor else "down"
        else:
            key = "home" if table.cursor >= len(table.model) - 60 else "pagedown"
        before = table.cursor
        began = time.perf_counter()
        app.post_message(events.Key(key, None))
        drawn = threading.Event()
        while table.cursor == before and time.perf_counter() - began < 1:
            await asyncio.sleep(0)
        app.call_after_refresh(drawn.set)
        while not drawn.is_set():
            await asyncio.sleep(0)
        taken.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.01)
    return taken
