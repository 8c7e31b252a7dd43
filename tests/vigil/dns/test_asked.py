from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import dns.message
import dns.rcode

from tests.vigil.dns.world import PLACE, world

if TYPE_CHECKING:
    import pytest


async def test_something_unexpected_fails_one_question_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as here:

        def broken(name: bytes, kind: int) -> None:
            raise RuntimeError("no")

        async def broken_later(*_: object) -> None:
            raise RuntimeError("no")

        with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
            patch.setattr(here.dns.names, "find", broken)
            for tcp in (False, True):
                assert (await here.ask("wiki.local", tcp=tcp)).rcode() == dns.rcode.SERVFAIL
        with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
            patch.setattr(here.dns.resolver, "resolve", broken_later)
            assert (await here.ask("www.example.com")).rcode() == dns.rcode.SERVFAIL
        assert here.dns.limits.waiting == 0
        assert [record.error for record in here.sink.records] == ["unexpected, see the log"] * 3
        assert "RuntimeError" in caplog.text
        assert (await here.ask("wiki.local")).rcode() == 0


async def test_a_service_that_is_gone_answers_nobody() -> None:
    async with world() as here:
        entry = here.replica.service_by_name["dns.octelium"]
        here.cluster.remove("Service", "dns.octelium")
        answers: list[bytes] = []
        query = dns.message.make_query("wiki.local", "A").to_wire()
        here.dns.datagram(
            entry, here.arrival, ("100.64.0.16", 53), ("100.65.0.7", 9), query, answers.append
        )
        assert dns.message.from_wire(answers[0]).rcode() == dns.rcode.REFUSED


async def test_a_log_that_fails_does_not_answer_twice(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as here:
        entry = here.replica.service_by_name["dns.octelium"]
        answers: list[bytes] = []
        here.dns.sink = object()  # type: ignore[assignment]  # it takes nothing
        query = dns.message.make_query("wiki.local", "A").to_wire()
        here.dns.datagram(entry, here.arrival, PLACE, ("100.65.0.7", 9), query, answers.append)
        assert len(answers) == 1
        assert "AttributeError" in caplog.text


async def test_answers_and_their_sizes_are_counted() -> None:
    async with world() as here:
        reply = await here.ask("wiki.local")
        (record,) = here.sink.records
        assert record.response_bytes == len(reply.to_wire())
        assert record.duration >= 0
        assert here.dns.answered == 1
