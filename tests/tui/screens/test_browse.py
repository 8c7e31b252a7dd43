from __future__ import annotations

import threading

import pytest

from octelium.client.errors import ApiError
from octelium.tui.data import Update
from octelium.tui.kinds import ADMINISTRATION
from octelium.tui.screens.browse import UNKNOWN
from tests.tui.fake import item, small
from tests.tui.pictures import goto, sees, showing, text, until

VIEW = next(view for view in ADMINISTRATION if view.id == "user")


async def test_pages_come_before_the_whole() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "Users 2 ")
        rows = [VIEW.row(item("User", f"u{number}")) for number in range(3)]
        data.push(Update(rows, whole=True, complete=False))
        await sees(pilot, "Users 3+")
        data.push(Update(rows[:1], whole=True))
        await sees(pilot, "Users 1 ")


async def test_notices_of_the_reader_and_its_end_are_told() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "Users 2")
        data.feeds[-1].warn("the Cluster is away")
        await sees(pilot, "the Cluster is away")
        data.feeds[-1].problem = ApiError("PERMISSION_DENIED", "you may not", "")
        await sees(pilot, "PermissionDenied: you may not", "▌ ann")


@pytest.mark.parametrize("view", ["user", "access"])
async def test_why_a_view_ended_is_told_last(view: str) -> None:
    data = small()
    async with showing(data) as (app, pilot):
        await goto(pilot, "grp")
        await sees(pilot, "Groups 1")
        data.gate = threading.Event()
        await goto(pilot, view)
        # Both are found by one look, as where a machine stood still meanwhile.
        data.feeds[-1].warn("the Cluster is away")
        data.feeds[-1].problem = ApiError("PERMISSION_DENIED", "you may not", "")
        # In the line for notices, and where the rows would be.
        await until(pilot, lambda: text(app).count("PermissionDenied: you may not") == 2)


async def test_nothing_is_counted_while_the_cluster_is_away() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "Users 2")
        data.gate = threading.Event()
        await goto(pilot, "grp")
        await sees(pilot, f"Groups {UNKNOWN}", "reading…")
        data.feeds[-1].warn("the Cluster is away")
        await sees(
            pilot, f"Groups {UNKNOWN}", "The Cluster does not answer. It is asked until it does."
        )
        data.gate.set()
        await sees(pilot, "Groups 1", "▌ ops")


async def test_a_view_that_is_left_reads_no_more() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "Users 2")
        feed = data.feeds[-1]
        await goto(pilot, "grp")
        await sees(pilot, "Groups 1")
        await until(pilot, lambda: feed.is_stopped)
        assert feed.join(60)
