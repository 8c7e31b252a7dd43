from __future__ import annotations

from octelium.authserver.targets import ClientLogin, Target
from octelium.authserver.waiting import Waiting

CLIENT = ClientLogin(23456, "abcd", bytes(32))
OTHER = ClientLogin(34567, "efgh", bytes(32))


def test_targets_are_taken_once() -> None:
    waiting = Waiting()
    assert waiting.take_target("one") == Target()
    waiting.keep_target("one", Target("https://wiki.example.com/"))
    waiting.keep_target("two", Target(client=CLIENT))
    waiting.keep_target("two", Target())  # nothing said is no reason to forget
    assert waiting.take_target("one") == Target("https://wiki.example.com/")
    assert waiting.take_target("one") == Target()
    assert waiting.take_target("two") == Target(client=CLIENT)


def test_a_person_decides_about_the_last_request_and_once() -> None:
    waiting = Waiting()
    assert waiting.asked("one") is None
    waiting.ask("one", CLIENT)
    first = waiting.asked("one")
    waiting.ask("one", OTHER)
    second = waiting.asked("one")
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert second.client == OTHER
    assert waiting.answer("two") is None
    assert waiting.answer("one") == second
    assert waiting.answer("one") is None


def test_who_has_let_a_command_line_in() -> None:
    now = 1000.0
    waiting = Waiting(lambda: now)
    assert not waiting.has_let_in("one")
    waiting.let_in("one")
    waiting.let_in("two")
    assert waiting.has_let_in("one")
    assert not waiting.has_let_in("one")
    now += 61
    assert not waiting.has_let_in("two")


def test_for_how_long() -> None:
    now = 1000.0
    waiting = Waiting(lambda: now)
    waiting.keep_target("one", Target(client=CLIENT))
    waiting.keep_target("two", Target(client=CLIENT))
    waiting.ask("one", CLIENT)
    now += 5 * 60 - 1
    assert waiting.asked("one") is not None
    now += 1
    assert waiting.asked("one") is None
    now += 7 * 60 - 1
    assert waiting.take_target("one") == Target(client=CLIENT)
    now += 1
    assert waiting.take_target("two") == Target()
