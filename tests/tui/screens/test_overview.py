from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.client.errors import ApiError
from octelium.tui.journal import access_row
from octelium.tui.screens import overview
from tests.tui.fake import NOW, access, small
from tests.tui.pictures import sees, showing

if TYPE_CHECKING:
    import pytest


async def test_requests_are_counted_as_they_come() -> None:
    data = small()
    async with showing(data, size=(120, 30)) as (_, pilot):
        await sees(pilot, "The last 5 minutes", "█")
        for number in range(10):
            one = access(55, user="a", service="s", path=f"/{number}", allowed=False, code=403)
            data.push((access_row(one), one))
        screen = await sees(pilot, "2.0/s")
        assert "Refused" in screen
        assert NOW


async def test_what_the_cluster_did_not_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overview, "_RETRY", 0.05)
    data = small()
    data.failing = ApiError("UNAVAILABLE", "nobody answers", "")
    counts = data.counts

    def counted() -> dict[str, int]:
        if data.failing is not None:
            raise data.failing
        return counts()

    monkeypatch.setattr(data, "counts", counted)
    async with showing(data) as (_, pilot):
        await sees(pilot, "Unavailable: nobody answers")
        data.failing = None
        await sees(pilot, "users 2", "workers: 2 answer")


async def test_a_log_that_may_not_be_read_is_told() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await sees(pilot, "Overview")
        data.feeds[-1].problem = ApiError("PERMISSION_DENIED", "no \x1b log", "")
        await sees(pilot, "Requests are not counted: PermissionDenied: no \\x1b log", "Health")
