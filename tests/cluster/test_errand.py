from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.cluster import errand as errands
from octelium.cluster.errand import Errand, ErrandError, UnanswerableError, answer_to, run
from octelium.cluster.lane import Deadline, Expired
from octelium.octovigil.inquiry import InquiryError
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.octovigil.world import World, allow

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def world() -> World:
    made = World()
    made.put("Secret", "token", {})
    made.policy("all", allow())
    made.user(authorization={"policies": ["all"]})
    return made


def errand(**fields: object) -> Errand:
    return Errand(os.getpid(), **fields)  # type: ignore[arg-type]  # its own fields


def test_an_errand_brings_back_its_answer(world: World) -> None:
    answer = run(errand(), world.replica, Deadline(60))
    told = ext.ListAccessResponse.FromString(answer)
    assert [(item.user, item.verdict) for item in told.items] == [
        ("ann", ext.AccessVerdict__.ALLOWED)
    ]
    assert told == answer_to(errand(), world.replica.contents())


def test_a_question_that_cannot_be_asked(world: World) -> None:
    with pytest.raises(UnanswerableError, match="nobody"):
        run(errand(user="nobody"), world.replica, Deadline(60))
    with pytest.raises(InquiryError):
        answer_to(errand(service="nothing"), world.replica.contents())


def test_no_secret_leaves_with_an_errand(world: World) -> None:
    packed = b"".join(errands._packed(errand(), world.replica))
    assert {change.kind for change in errands._unpacked(packed)[1]} == {
        *("ClusterConfig", "Namespace", "Policy", "Service", "Session", "User"),
    }
    assert b"token" not in packed.replace(b"tokenID", b"").replace(b"accessToken", b"")


def children() -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                rest = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(rest[1]) == os.getpid():
                found.add(int(entry.name))
    return found


@pytest.mark.parametrize("end", [lambda deadline: None, lambda deadline: deadline.abandon()])
def test_a_process_that_nobody_waits_for_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, end: Callable[[Deadline], None]
) -> None:
    monkeypatch.setattr(errands, "_MODULE", "tests.cluster.lasting")
    before = children()
    deadline = Deadline(0.5)
    timer = threading.Timer(0.2, end, (deadline,))
    timer.start()
    with pytest.raises(Expired):
        run(errand(), world.replica, deadline)
    timer.cancel()
    timer.join()
    assert children() <= before


def test_a_process_that_fails(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(errands, "_MODULE", "no.such.module")
    with pytest.raises(ErrandError, match="status 1"):
        run(errand(), world.replica, Deadline(60))
    assert "No module named" in capfd.readouterr().err
