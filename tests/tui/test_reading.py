from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from octelium.tui.lines import told
from tests.tui.fake import LINK, item, small
from tests.tui.pictures import goto, press, sees, showing, text, until

if TYPE_CHECKING:
    import pytest

    from octelium.tui.app import Terminal
    from octelium.tui.lines import Line


async def test_what_uses_a_policy_and_who_may() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        await press(pilot, "u")
        await sees(pilot, "What uses Policy staff", "wiki.default")
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "w")
        await sees(pilot, "Users / ann / access", "allowed")


async def test_tests_of_policies_are_run() -> None:
    asked: list[tuple[str, bool]] = []

    def run(path: str, is_live: bool) -> list[Line]:
        asked.append((path, is_live))
        return told("All passed.")

    async with showing(small(), run_tests=run) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        await press(pilot, "t")
        await sees(pilot, "file or directory")
        await press(pilot, *"/x", "enter")
        await sees(pilot, "Tests on files / /x", "All passed.")
        await press(pilot, "escape", "T", *"/y", "enter")
        await sees(pilot, "Tests on the Cluster / /y", "All passed.")
        assert asked == [("/x", False), ("/y", True)]


async def test_whom_to_ask_for_is_chosen_of_a_policy() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        await press(pilot, "w", *"wiki")
        await sees(pilot, "▌Who may open wiki.default")
        await press(pilot, "enter")
        await sees(pilot, "Services / wiki.default / access", "allowed  wiki.default")
        await press(pilot, "escape", "w")
        await sees(pilot, "Of which Service or User")
        await press(pilot, *"ann")
        await sees(pilot, "▌What may be opened by ann")
        await press(pilot, "enter")
        await sees(pilot, "Users / ann / access")


async def test_whose_access_a_policy_changes() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        await press(pilot, "p")
        await sees(pilot, "If Policy staff were disabled", "allowed → refused")


async def test_a_page_is_searched() -> None:
    data = small()
    data.items["User"] = [item("User", "ann", spec={"groups": [f"group-{n}" for n in range(90)]})]
    async with showing(data) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "y")
        await sees(pilot, "kind: User")
        await press(pilot, "n")
        await sees(pilot, "Nothing is searched for")
        await press(pilot, "slash", *"GROUP-7")
        await sees(pilot, "- group-7", "line 1 of 11")
        await press(pilot, "enter", "n")
        await sees(pilot, "line 2 of 11", "- group-70")
        await press(pilot, "N", "N")
        await sees(pilot, "line 11 of 11", "- group-79")
        await press(pilot, "n")
        await sees(pilot, "line 1 of 11")
        await press(pilot, "slash", "ctrl+u", *"zzz")
        await sees(pilot, "/zzz: not on this page")
        await press(pilot, "escape")
        await sees(pilot, "line 1 of 11")
        await press(pilot, "escape")
        assert "kind: User" in await sees(pilot, "/ YAML")
        await press(pilot, "escape")
        await sees(pilot, "▌ ann")


def copies(app: Terminal, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the terminal is told to copy."""
    written: list[str] = []
    driver: Any = app._driver
    monkeypatch.setattr(driver, "write", written.append)
    return written


async def test_what_is_copied_goes_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small()
    async with showing(data) as (app, pilot):
        written = copies(app, monkeypatch)
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "c")
        await sees(pilot, "Copied the name.", "OSC 52")
        await press(pilot, "i", "y")
        await sees(pilot, "Invitation / ann")
        await press(pilot, "c")
        await sees(pilot, "Copied it.")
        await press(pilot, "escape")
        await goto(pilot, "access")
        await sees(pilot, "GET /x")  # the last one
        await press(pilot, "c")
        await sees(pilot, "Copied the id.")
        # Texts are base64, so that none of them is a sequence of its own.
        copied = [
            base64.b64decode(each.removeprefix("\x1b]52;c;").removesuffix("\a")).decode()
            for each in written
            if each.startswith("\x1b]52;")
        ]
        assert copied == ["ann", LINK, "aaaa-bbbb-24-0000-0003"]


async def test_a_terminal_that_takes_no_copies_is_told_of() -> None:
    async with showing(small(), environ={"TERM": "linux"}) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "c")
        await sees(pilot, "A terminal of type linux takes no copies.")


async def test_there_may_be_nothing_to_copy() -> None:
    data = small()
    data.items["User"] = []
    async with showing(data) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "There are no users.")
        await press(pilot, "c")
        app.copy()
        await until(pilot, lambda: "There is nothing to copy." in text(app))


async def test_a_page_is_read_again() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "enter")
        await sees(pilot, "Users / ann", "Spec:")
        data.find("User", "ann").spec.email = "later@lab.test"
        await press(pilot, "ctrl+r")
        await sees(pilot, "Users / ann", "later@lab.test")
