"""Screens as text: what is written in each line, and then how much of it in which style."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import events
from textual.keys import _character_to_key
from textual.strip import Strip

from octelium.tui.app import Terminal
from octelium.tui.kinds import ADMINISTRATION
from tests.tui.fake import NOW, Fake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from textual.pilot import Pilot

SNAPSHOTS = Path(__file__).parent / "snapshots"
SIZES = {"80x24": (80, 24), "200x60": (200, 60)}


def strips(app: Terminal) -> list[Any]:
    """The rows that the terminal is given, with what is seen behind a question."""
    compositor = app.screen._compositor
    update: Any = compositor.render_update(full=True, screen_stack=app._background_screens)
    return [Strip.join(parts) for parts in update.strips]


def text(app: Terminal) -> str:
    """What is written on the screen."""
    return "\n".join(strip.text.rstrip() for strip in strips(app)) + "\n"


def export(app: Terminal) -> str:
    """The screen, and per line the runs of style that say more than the lines do."""
    lines = ["# screen"]
    styles: Counter[str] = Counter()
    for strip in strips(app):
        lines.append(f"|{strip.text.rstrip()}")
        for segment in strip:
            style = segment.style
            if style is None or not segment.text.strip():
                continue
            marks = "".join(
                mark
                for mark, on in (("b", style.bold), ("i", style.italic), ("r", style.reverse))
                if on
            )
            front = style.color.name if style.color else "default"
            back = style.bgcolor.name if style.bgcolor else "default"
            styles[f"{front} on {back} {marks}".strip()] += len(segment.text.strip())
    lines.append("# styles: characters in each")
    lines += [f"{count:6} {name}" for name, count in sorted(styles.items())]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def showing(
    data: Fake,
    *,
    size: tuple[int, int] = (80, 24),
    views: Sequence[Any] = ADMINISTRATION,
    **options: Any,
) -> AsyncIterator[tuple[Terminal, Pilot[None]]]:
    """The application over a fake Cluster; its feeds end with it."""
    app = Terminal(data, views, now=lambda: NOW, **options)
    try:
        async with app.run_test(size=size) as pilot:
            yield app, pilot
    finally:
        if data.gate is not None:  # of a test that has failed
            data.gate.set()
        for feed in data.feeds:
            feed.stop()


async def until(pilot: Pilot[None], holds: Callable[[], bool], seconds: float = 90) -> None:
    """Let the application work until something holds."""
    deadline, wait = time.monotonic() + seconds, 0.01
    while time.monotonic() < deadline:
        if holds():
            return
        await asyncio.sleep(wait)
        wait = min(0.1, wait * 1.2)  # what is looked at has to be drawn whole
    raise AssertionError(f"it never held; the screen:\n{text(pilot.app)}")  # type: ignore[arg-type]


async def sees(pilot: Pilot[None], *words: str) -> str:
    """Wait until all of the words are on the screen; the screen."""
    app: Any = pilot.app
    await until(pilot, lambda: all(word in text(app) for word in words))
    return text(app)


async def goto(pilot: Pilot[None], word: str) -> None:
    """Show the view that a word means, until it takes keys."""
    app: Any = pilot.app
    view = app.views.find(word)
    assert view is not None
    app.go(view)
    await until(
        pilot,
        lambda: app.area is not None and app.area.base.view == view.id and app.area.is_ready,
    )


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, one right after the other: none waits for what another does."""
    for key in keys:
        character = key if len(key) == 1 else " " if key == "space" else None
        name = _character_to_key(key) if len(key) == 1 else key
        pilot.app.post_message(events.Key(name, character))
    # Each has come to the keyboard when this has its turn.
    come = asyncio.Event()
    pilot.app.call_later(come.set)
    await come.wait()
    app: Any = pilot.app
    await until(pilot, lambda: not app.keyboard.is_waiting or not app.is_running)
