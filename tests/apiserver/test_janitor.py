from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.janitor import (
    JOBS,
    Janitor,
    Job,
    drop_unregistered,
    end_credentials,
    end_invitations,
    end_sessions,
    rotate_keys,
)
from octelium.identity.keys import LABEL, ROTATE_AFTER
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import invitation_v1_pb2 as invitation
from octelium.store.errors import Unavailable
from tests.apiserver.harness import START, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.store.transaction import Transaction
    from tests.apiserver.harness import Harness

DAY = 86_400


class Sleeper:
    """Sleeps only as long as the test wants; remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.waiting = asyncio.Event()
        self.woken = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        if len(self.asked) % len(JOBS) == 0:
            self.waiting.set()
        await self.woken.wait()

    async def all_asleep(self) -> None:
        await asyncio.wait_for(self.waiting.wait(), 60)
        self.waiting.clear()


def janitor(api: Harness) -> tuple[Janitor, Sleeper]:
    sleeper = Sleeper()
    return Janitor(api.resources, api.clock, sleep=sleeper), sleeper


async def done(api: Harness, job: Callable[[Transaction, float], int], at: float) -> int:
    async with api.resources.transaction() as tx:
        return job(tx, at)


async def test_sessions_end_when_they_are_over(api: Harness) -> None:
    assert await done(api, end_sessions, START) == 0
    api.session.spec.expires_at.FromSeconds(int(START) + 100)
    async with api.resources.transaction() as tx:
        tx.update(api.session)
    assert await done(api, end_sessions, START + 99) == 0
    assert await done(api, end_sessions, START + 100) == 1
    assert api.resources.count(core.Session) == 0


async def test_sessions_end_when_they_cannot_be_refreshed(api: Harness) -> None:
    assert await done(api, end_sessions, START + 12 * 3600 - 1) == 0
    assert await done(api, end_sessions, START + 12 * 3600) == 1


async def test_credentials_end_when_they_expire(api: Harness) -> None:
    short, forever = (resource("Credential", name) for name in ("short", "forever"))
    short.spec.expires_at.FromSeconds(int(START) + 100)
    await api.store(short, forever)
    assert await done(api, end_credentials, START + 99) == 0
    assert await done(api, end_credentials, START + 100) == 1
    assert [c.metadata.name for c in api.resources.list(core.Credential)] == ["forever"]


async def test_invitations_end_when_they_expire(api: Harness) -> None:
    made = invitation.Invitation()
    made.metadata.name = "of-somebody"
    made.spec.expires_at.FromSeconds(int(START) + 900)
    await api.store(made)
    assert await done(api, end_invitations, START + 899) == 0
    assert await done(api, end_invitations, START + 900) == 1
    assert api.resources.count(invitation.Invitation) == 0


async def test_unfinished_registrations_are_dropped(api: Harness) -> None:
    started, finished = core.Authenticator(), core.Authenticator()
    started.metadata.name, finished.metadata.name = "totp-aaaaaa", "totp-bbbbbb"
    finished.status.is_registered = True
    await api.store(started, finished)
    assert await done(api, drop_unregistered, START + 3599) == 0
    assert await done(api, drop_unregistered, START + 3600) == 1
    assert [a.metadata.name for a in api.resources.list(core.Authenticator)] == ["totp-bbbbbb"]


async def test_keys_are_rotated_when_they_are_due(api: Harness) -> None:
    def keys() -> int:
        return api.resources.count(core.Secret, by={f"systemLabels.{LABEL}": "true"})

    assert await done(api, rotate_keys, START) == 1
    assert keys() == 1
    assert await done(api, rotate_keys, START + ROTATE_AFTER - 1) == 0
    assert await done(api, rotate_keys, START + ROTATE_AFTER) == 1
    assert keys() == 2


def test_periods() -> None:
    assert {job.run: job.period / 60 for job in JOBS} == {
        end_sessions: 5,
        end_invitations: 5,
        end_credentials: 7,
        rotate_keys: 10,
        drop_unregistered: 15,
    }


async def test_every_job_runs_at_the_start_and_again_after_its_period(api: Harness) -> None:
    made, sleeper = janitor(api)
    made.start()
    await sleeper.all_asleep()
    assert sorted(sleeper.asked) == sorted(job.period for job in JOBS)
    assert api.resources.count(core.Secret, by={f"systemLabels.{LABEL}": "true"}) == 1
    assert api.resources.count(core.Session) == 1

    api.clock.now = START + 2 * DAY
    sleeper.woken.set()
    while api.resources.count(core.Session):
        await asyncio.sleep(0)
    await made.stop()


async def test_nothing_is_committed_when_there_is_nothing_to_do(api: Harness) -> None:
    made, _ = janitor(api)
    before = api.resources.revision
    assert await made.run(Job("idle", 1, end_sessions)) == 0
    assert api.resources.revision == before


@pytest.mark.parametrize("error", [Unavailable("disk full"), ValueError("a bug")])
async def test_a_job_that_fails_is_logged_and_tried_again(
    api: Harness,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = 0
    tried_again = asyncio.Event()

    def fail(_tx: Transaction, _now: float) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            tried_again.set()
            return 0
        raise error

    monkeypatch.setattr("octelium.apiserver.janitor.JOBS", (Job("broken", 1, fail),))
    made, sleeper = janitor(api)
    sleeper.woken.set()
    with caplog.at_level(logging.ERROR):
        made.start()
        await asyncio.wait_for(tried_again.wait(), 60)
        await made.stop()
    assert "broken" in caplog.text
    assert str(error) in caplog.text


async def test_stopping_leaves_no_task(api: Harness) -> None:
    made, sleeper = janitor(api)
    made.start()
    await sleeper.all_asleep()
    running = [task for task in asyncio.all_tasks() if task.get_name().startswith("janitor")]
    assert len(running) == len(JOBS)
    await made.stop()
    assert all(task.done() for task in running)
