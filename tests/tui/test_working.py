from __future__ import annotations

import threading

from octelium.client.errors import ClientError
from tests.tui.fake import small
from tests.tui.pictures import goto, press, sees, showing, until


async def test_what_is_given_up_before_it_began_holds_nothing() -> None:
    async with showing(small()) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        found: list[str] = []
        app.ask(lambda: "one", found.append, "waiting", holds=True)
        app.ask(lambda: "two", found.append, "")  # takes its place
        await until(pilot, lambda: found == ["two"])
        assert not app.holds("d")
        assert app.doing == ""


async def test_what_fails_is_told_by_who_asked() -> None:
    def fail() -> None:
        raise ClientError("broken")

    async with showing(small()) as (app, pilot):
        await sees(pilot, "Overview")
        told: list[str] = []
        app.ask(fail, lambda _: None, "trying", failed=lambda error: told.append(str(error)))
        await until(pilot, lambda: told == ["broken"])
        app.ask(fail, lambda _: None, "trying")
        await sees(pilot, "broken")
        assert app.doing == ""


async def test_what_is_kept_goes_on_beside_the_rest() -> None:
    async with showing(small()) as (app, pilot):
        await sees(pilot, "Overview")
        gate = threading.Event()
        found: list[object] = []
        app.ask(lambda: gate.wait(300), found.append, "counting", keep=True)
        await sees(pilot, "counting…")
        await goto(pilot, "user")
        await sees(pilot, "▌ ann", "counting…")
        assert not app.is_asking()
        await press(pilot, "down")
        await sees(pilot, "▌ ci")
        gate.set()
        await until(pilot, lambda: found == [True])
