from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client import watching
from octelium.client.client import Client
from octelium.client.errors import ApiError
from octelium.client.settings import Flags
from octelium.schema.kinds import KINDS
from octelium.tui.app import Terminal
from octelium.tui.data import ClusterData
from octelium.tui.kinds import ADMINISTRATION
from tests.client.standin import Authority, StandIn
from tests.e2e.cluster import wait_for
from tests.tui.fake import NOW, item
from tests.tui.pictures import goto, press, sees, until
from tests.tui.test_changing import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VIEWS = {view.id: view for view in ADMINISTRATION}


def test_rows_come_page_by_page_then_whole(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        data = ClusterData(client, lambda: NOW)
        feed = data.rows(VIEWS["user"])
        updates: list[Any] = []

        def whole() -> bool:
            updates.extend(feed.take())
            return len(updates) >= 2

        wait_for(whole, 60)
        feed.stop()
        assert all(update.whole for update in updates[:2])
        stored = {one.metadata.name for one in client.resources.list_all(KINDS["User"])}
        assert {row.name for row in updates[1].rows} == stored
        assert feed.join(60)


def test_a_singleton_has_one_row(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        feed = ClusterData(client, lambda: NOW).rows(VIEWS["clusterconfig"])
        rows: list[Any] = []

        def one() -> bool:
            rows.extend(row for update in feed.take() for row in update.rows)
            return bool(rows) or feed.problem is not None

        wait_for(one, 60)
        feed.stop()
        assert feed.problem is None
        assert [row.name for row in rows] == ["default"]


def test_verbs_are_those_of_the_api(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        data = ClusterData(client, lambda: NOW)
        assert data.can(KINDS["User"]) == {"Create", "Update", "Delete"}
        assert data.can(KINDS["Gateway"]) == frozenset()
        assert data.can(None) == frozenset()
        assert ClusterData(client, lambda: NOW, person=True).can(KINDS["User"]) == frozenset()


def test_what_is_read_of_resources(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        data = ClusterData(client, lambda: NOW)
        name = next(iter(client.resources.list_all(KINDS["User"]))).metadata.name
        described = [line.text for line in data.describe(VIEWS["user"], name)]
        assert f"Name:          {name}" in described
        assert any(line.text == f"  name: {name}" for line in data.yaml(VIEWS["user"], name))
        assert data.get(KINDS["User"], name).metadata.name == name
        counts = data.counts()
        assert counts["users"] >= 1
        assert counts["connected"] == 0
        with pytest.raises(ApiError):
            data.describe(VIEWS["user"], "nobody")


def test_a_token_is_asked_for_by_the_name_of_its_credential(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        data = ClusterData(client, lambda: NOW)
        text = (
            "kind: Credential\nmetadata: {name: robot}\n"
            "spec: {type: AUTH_TOKEN, user: USER, sessionType: CLIENT}\n"
        )
        user = next(iter(client.resources.list_all(KINDS["User"]))).metadata.name
        data.carry_out(data.plan(KINDS["Credential"], None, text.replace("USER", user)))
        # The harness's issuer gives the Credential's name for a token.
        assert [line.text for line in data.token("robot")][-2:] == ["access token:", "robot"]


@contextmanager
def foreign(tmp_path: Path) -> Iterator[tuple[StandIn, ClusterData]]:
    """What screens ask of a Cluster without `ext.v1`, as other implementations are."""
    cluster = StandIn(Authority.new(), foreign=True).start()
    client = Client(Flags(), cluster.environ(tmp_path), warn=lambda _: None)
    try:
        yield cluster, ClusterData(client, lambda: NOW)
    finally:
        client.close()
        cluster.stop()


async def test_another_implementation_is_asked_again_and_what_it_lacks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_FIRST_PAUSE", 0.05)
    with foreign(tmp_path) as (cluster, data):
        cluster.add(item("User", "ann", spec={"type": "HUMAN"}))
        cluster.add(item("Policy", "staff"))
        app = Terminal(data, ADMINISTRATION, now=lambda: NOW)
        async with app.run_test(size=(100, 30)) as pilot:
            await sees(pilot, "Requests are not counted", "does not offer its access log",
                       "users 1", "does not diagnose itself")  # fmt: skip
            await goto(pilot, "user")
            await sees(pilot, "Users 1", "▌ ann")
            cluster.add(item("User", "bob", spec={"type": "HUMAN"}))
            await sees(pilot, "Users 2", "bob")
            await press(pilot, "d")
            await sees(pilot, "Users / ann", "Name:")
            await press(pilot, "escape", "w")
            await sees(pilot, "this Cluster does not explain its decisions")
            await press(pilot, "i", "y")
            await sees(pilot, "this Cluster does not invite people")
            await goto(pilot, "pol")
            await sees(pilot, "▌ staff")
            await press(pilot, "p")
            await sees(pilot, "this Cluster does not explain its decisions")
            await press(pilot, "u")
            await sees(pilot, "What uses Policy staff")
            for view in ("access", "authlog"):
                await goto(pilot, view)
                # It is where the entries would be, and stays there.
                await until(pilot, lambda: "does not offer its a" in app.area.table.empty)  # type: ignore[union-attr]
            plan = data.plan(KINDS["Group"], None, "kind: Group\nmetadata: {name: ops}\n")
            assert any("+kind: Group" in line.text for line in plan.lines)
