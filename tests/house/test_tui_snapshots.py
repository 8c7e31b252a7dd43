"""Each view as it is drawn, compared with what was looked at and committed.

`OCTELIUM_SNAPSHOTS=write` writes them anew, to be looked at again.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.pb import user_v1_pb2 as user_v1
from octelium.tui.kinds import ADMINISTRATION, PERSON
from tests.tui.fake import small
from tests.tui.pictures import SIZES, SNAPSHOTS, export, goto, press, sees, showing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.pilot import Pilot

WRITE = os.environ.get("OCTELIUM_SNAPSHOTS") == "write"
VIEWS = [view for view in ADMINISTRATION if view.kind] + [
    view for view in ADMINISTRATION if view.id in ("access", "authlog")
]
PAGES = {
    # name: view, what must be there first, keys, what must be there then
    "describe": ("user", "▌ ann", ("d",), "Spec:"),
    "yaml": ("svc", "▌ db.prod", ("y",), "kind: Service"),
    "why": ("access", "GET /admin", ("up", "x"), "add Group ops"),
    "help": ("user", "▌ ann", ("question_mark",), "General"),
    "confirm": ("sess", "▌ ann-x7k2", ("ctrl+d",), "Revoke Session"),
    "invitation": ("user", "▌ ann", ("i", "y"), "For ann"),
    "palette": ("user", "▌ ann", ("ctrl+p",), "Go to"),
    "filter": ("svc", "▌ db.prod", ("slash", "w", "i", "k", "i"), "1 of 3"),
    "secret": ("sec", "▌ api-key", ("s", "x", "y"), "••"),
    "usedby": ("pol", "▌ staff", ("u",), "What uses"),
    "search": ("user", "▌ ann", ("y", "kind: User", "slash", *"name"), "line 1 of 1"),
    "effect": ("pol", "▌ staff", ("p",), "were disabled"),
    "empty": ("svc", "▌ db.prod", ("slash", *"zzz", "enter"), "Nothing fits"),
    "plan": ("user", "▌ ann", ("e",), "not applied yet"),
}


async def compare(pilot: Pilot[None], name: str) -> None:
    """Wait until the screen is the one that was looked at."""
    app: Any = pilot.app
    path = SNAPSHOTS / f"{name}.txt"
    if WRITE:
        await pilot.pause(0.3)
        path.write_text(export(app), encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if export(app) == expected:
            return
        await asyncio.sleep(0.02)
    assert export(app) == expected, f"{path.name} differs; look at it"


def edit(_app: Any, text: str) -> str:
    return text.replace("HUMAN", "WORKLOAD")


@pytest.mark.parametrize("size", SIZES)
async def test_views(size: str) -> None:
    async with showing(small(), size=SIZES[size]) as (_, pilot):
        for view in VIEWS:
            await goto(pilot, view.words[0])
            await sees(pilot, f"{view.title} ", "▌", "root@")
            await compare(pilot, f"{view.id}-{size}")


@pytest.mark.parametrize("size", SIZES)
async def test_overview(size: str) -> None:
    async with showing(small(), size=SIZES[size]) as (_, pilot):
        await sees(pilot, "workers: 2 answer", "services 3", "█", "root@")
        await compare(pilot, f"overview-{size}")


@pytest.mark.parametrize("size", SIZES)
async def test_status(size: str) -> None:
    async with showing(small(), size=SIZES[size]) as (_, pilot):
        await goto(pilot, "status")
        await sees(pilot, "User:       root", "root@")
        await compare(pilot, f"status-{size}")


@pytest.mark.parametrize("name", PAGES)
async def test_pages(name: str) -> None:
    view, before, keys, after = PAGES[name]
    async with showing(small(), edit_text=edit) as (_, pilot):
        await sees(pilot, "root@")
        await goto(pilot, view)
        await sees(pilot, before)
        for key in keys:
            await (sees(pilot, key) if " " in key else press(pilot, key))
        await sees(pilot, after)
        await compare(pilot, f"page-{name}-80x24")


async def test_light() -> None:
    async with showing(small(), light=True) as (_, pilot):
        await sees(pilot, "root@")
        await goto(pilot, "sess")
        await sees(pilot, "▌ ann-x7k2")
        await compare(pilot, "light-80x24")


async def test_a_person() -> None:
    data = small()
    services: Sequence[tuple[str, str]] = (("wiki.default", "Wiki"), ("db.prod", "Database"))
    data.items = {"Service": []}
    for name, title in services:
        one = user_v1.Service(api_version="user/v1", kind="Service")
        one.metadata.name, one.metadata.display_name = name, title
        one.spec.is_public, one.spec.port = name == "wiki.default", 443
        data.items["Service"].append(one)
    async with showing(data, views=PERSON, person=True, readonly=True) as (_, pilot):
        await sees(pilot, "My Services 2", "▌", "root@")
        await compare(pilot, "person-80x24")
