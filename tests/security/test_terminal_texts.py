"""Texts of strangers in the terminal interface: of them nothing but letters is drawn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from octelium.client.accesslog import Entry
from octelium.client.errors import ApiError
from octelium.client.relations import REFERRED
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.tui import reports
from octelium.tui.data import Invited
from octelium.tui.kinds import ADMINISTRATION
from octelium.tui.lines import told
from octelium.tui.pictures import invitation
from octelium.tui.screens.choose import Choose, Item
from octelium.tui.screens.confirm import Confirm
from octelium.tui.screens.writing import Ask, Narrow
from tests.conftest import SOAK
from tests.tui.fake import LINK, NOW, Fake
from tests.tui.hostile import HOSTILE
from tests.tui.pictures import goto, press, sees, showing, strips, until
from tests.tui.test_inert import harmless

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from octelium.tui.app import Terminal

TEXTS = [text.encode("utf-8", "replace").decode() for text in HOSTILE]


def fill(message: Any, text: str, depth: int = 5) -> None:
    """Put a text wherever a message has place for one."""
    for field in message.DESCRIPTOR.fields:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if is_map:
            value = field.message_type.fields_by_name["value"]
            if value.cpp_type == value.CPPTYPE_STRING and value.type == value.TYPE_STRING:
                getattr(message, field.name)[text] = text
        elif field.type == field.TYPE_STRING:
            if field.is_repeated:
                getattr(message, field.name).append(text)
            else:
                setattr(message, field.name, text)
        elif field.message_type is not None and depth:
            if field.message_type.full_name.startswith("google.protobuf."):
                continue
            part = getattr(message, field.name)
            fill(part.add() if field.is_repeated else part, text, depth - 1)


def resource(kind: str, text: str, number: int) -> Any:
    """A resource of which every text is this one; with its own uid."""
    made = KINDS[kind].message()
    fill(made, text)
    made.api_version, made.kind = KINDS[kind].api, kind
    made.metadata.uid = f"00000000-0000-4000-8000-{number:012d}"
    made.metadata.created_at.seconds = int(NOW)
    return made


def hostile(texts: list[str]) -> Fake:
    """A Cluster that says these texts everywhere."""
    kinds = [view.kind.name for view in ADMINISTRATION if view.kind is not None]
    items = {kind: [resource(kind, text, n) for n, text in enumerate(texts)] for kind in kinds}
    accesses, attempts = [], []
    for number, text in enumerate(texts):
        log = core.AccessLog()
        fill(log, text)
        log.metadata.id = f"id-{number}"
        accesses.append(Entry(log, text, text))
        attempt = ext.AuthenticationLogEntry()
        fill(attempt, text)
        attempt.id = f"id-{number}"
        attempts.append(attempt)
    return Fake(items, accesses, attempts, domain=texts[-1])


def inert(app: Terminal) -> None:
    """What the terminal is given is letters, in rows of the right width."""
    for strip in strips(app):
        assert harmless(strip.text), repr(strip.text)
        assert all(segment.control is None for segment in strip)
        assert all(segment.style is None or segment.style.link is None for segment in strip)
        assert cell_len(strip.text) == app.size.width


async def opened(app: Terminal, pilot: Pilot[None], *keys: str) -> None:
    """Press keys that lead to another screen, look at it, and leave it."""
    depth = len(app.screen_stack)
    await press(pilot, *keys)
    await until(pilot, lambda: len(app.screen_stack) > depth and app.screen.is_ready)  # type: ignore[attr-defined]
    inert(app)
    while len(app.screen_stack) > depth:
        await press(pilot, "escape")
    inert(app)


KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "service": (("w",), ("ctrl+p",), ("colon",)),
    "user": (("w",), ("i",), ("e",)),
    "policy": (("w",), ("u",), ("p",), ("t",)),
    "credential": (("s",),),
    "secret": (("s",), ("n",)),
    "session": (("a",), ("R",)),
}


@pytest.mark.parametrize("size", [(80, 24), (200, 60)] if SOAK else [(80, 24)])
async def test_every_view_and_question(size: tuple[int, int]) -> None:
    def edit(_app: Any, text: str) -> str:
        return f"{text}\nmore: {TEXTS[0]}\n"

    data = hostile(TEXTS)
    options: Any = {"edit_text": edit, "run_tests": lambda path, _live: told(path)}
    async with showing(data, size=size, **options) as (app, pilot):
        for number, view in enumerate(ADMINISTRATION):
            await goto(pilot, view.words[0])
            area: Any = app.area
            if view.id in ("overview", "status"):
                await sees(pilot, view.title)
                inert(app)
                continue
            await until(pilot, lambda area=area: len(area.model) == len(TEXTS))
            inert(app)
            await press(pilot, "home", *["down"] * (number % len(TEXTS)))
            keys = [("d",)]
            if view.kind is not None and view.id not in KEYS and not SOAK:
                continue
            if view.id == "access":
                keys.append(("x",))
            if view.kind is not None and "Delete" in data.can(view.kind):
                keys.append(("ctrl+d",))
            if SOAK and view.kind is not None:
                keys.append(("y",))
            for each in (*keys, *KEYS.get(view.id, ())):
                await opened(app, pilot, *each)
        assert not data.done


async def say(app: Terminal, pilot: Pilot[None], text: str) -> None:
    """Every place that says a text."""
    app.tell(text)
    inert(app)
    app.tell_error(ApiError("INTERNAL", text, text, text))
    inert(app)
    screens: list[Callable[[], None]] = [
        lambda: app.show_page(text, told(text)),
        lambda: app.show_page(text, invitation(Invited(text, LINK, int(NOW) + 60), NOW)),
        lambda: app.question(Confirm(text, lambda _: None, text, answers="y", waits="")),
        lambda: app.question(Ask(text, lambda _: None)),
        lambda: app.question(Narrow("", lambda _: None, "hint")),
        lambda: app.question(Choose("which", [Item("id", text, text)], lambda _: None)),
    ]
    for show in screens:
        show()
        await until(pilot, lambda: len(app.screen_stack) == 3 and app.screen.is_ready)  # type: ignore[attr-defined]
        inert(app)
        await press(pilot, "escape")
        await until(pilot, lambda: len(app.screen_stack) == 2)


async def test_every_place_that_says_something() -> None:
    async with showing(hostile(["a"])) as (app, pilot):
        await sees(pilot, "Overview")
        for text in TEXTS if SOAK else TEXTS[::7]:
            await say(app, pilot, text)


_SAID = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@settings(max_examples=40 if SOAK else 2)
@given(st.lists(_SAID, min_size=4, max_size=4))
def test_any_texts(texts: list[str]) -> None:
    async def walk() -> None:
        async with showing(hostile(texts)) as (app, pilot):
            for word in ("svc", "access", "authlog"):
                await goto(pilot, word)
                area: Any = app.area
                await until(pilot, lambda area=area: len(area.model) == len(texts))
                inert(app)
                await opened(app, pilot, "d")
            await say(app, pilot, texts[0])

    asyncio.run(walk())


class Resources:
    """Lists what there is of a kind."""

    def __init__(self, items: dict[str, list[Any]]) -> None:
        self.items = items

    def list_all(self, kind: Any, **_: Any) -> list[Any]:
        return self.items.get(kind.name, [])

    def get(self, kind: Any, name: str) -> Any:
        return next(one for one in self.items[kind.name] if one.metadata.name == name)


class Containers:
    """What the Cluster tells of containers, of which every text is this one."""

    def __init__(self, text: str) -> None:
        self.asked = 0
        self.reply = ext.ListContainersResponse()
        fill(self.reply, text)

    def call(self, method: str, _: ext.ListContainersRequest) -> ext.ListContainersResponse:
        assert method == "ListContainers"
        self.asked += 1
        return self.reply


@pytest.mark.parametrize("kind", [v.kind.name for v in ADMINISTRATION if v.kind is not None])
def test_descriptions(kind: str) -> None:
    for text in TEXTS if SOAK else TEXTS[::6]:
        around = cast("Any", Resources({kind: [resource(kind, text, 1)]}))
        item = around.items[kind][0]
        if kind == "Service":
            item.spec.config.upstream.container.SetInParent()
        told_of = Containers(text)
        service = cast("Any", told_of)
        lines = reports.describe(around, service, "example.com", KINDS[kind], text, NOW)
        assert told_of.asked == (kind == "Service")
        if kind in REFERRED:
            lines += reports.used_by(around, "example.com", KINDS[kind], text)
        assert all(harmless(line.text) for line in lines)
