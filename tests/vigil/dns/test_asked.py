from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from tests.http import certs
from tests.vigil.dns.world import (
    DOMAIN,
    NAMES,
    PLACE,
    TYPES,
    allow_all,
    server_context,
    upstream,
    world,
)

if TYPE_CHECKING:
    from pathlib import Path

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


# Elsewhere.


async def test_other_names_go_to_the_zones() -> None:
    async with upstream() as fallback, upstream() as corp, world() as here:
        fallback.put("www.example.com", "A", "192.0.2.1")
        corp.put("db.corp.example", "A", "10.1.1.1")
        corp.put("dc.corp.local", "A", "10.1.1.2")
        here.cluster.config(
            fallbackZone={"servers": [fallback.url]},
            zones=[{"servers": [corp.url], "domains": ["corp.example", "corp.local"]}],
        )
        reply = await here.ask("www.EXAMPLE.com", use_edns=0)
        assert reply.answer[0][0].to_text() == "192.0.2.1"
        assert reply.question[0].name.to_text() == "www.EXAMPLE.com."
        assert not reply.flags & dns.flags.AA
        assert reply.flags & dns.flags.RA
        assert (await here.ask("db.corp.example")).answer[0][0].to_text() == "10.1.1.1"
        assert (await here.ask("dc.corp.local")).answer[0][0].to_text() == "10.1.1.2"
        assert (await here.ask("gone.example")).rcode() == dns.rcode.NXDOMAIN
        assert [name for name, _, _ in fallback.asked] == ["www.example.com.", "gone.example."]
        assert [name for name, _, _ in corp.asked] == ["db.corp.example.", "dc.corp.local."]
        assert here.sink.records[0].content_type == b"192.0.2.1"


async def test_names_of_the_cluster_never_leave_it() -> None:
    async with upstream() as fallback, world() as here:
        here.cluster.config(fallbackZone={"servers": [fallback.url]})
        for name in (*(name for name in NAMES), f"a.b.c.local.{DOMAIN}", "_x._tcp.wiki.local"):
            for kind in TYPES:
                await here.ask(name, kind)
        assert fallback.asked == []
        await here.ask(f"wiki.{DOMAIN}")  # the public name
        await here.ask("gone")
        await here.ask("gone.default")
        assert [name for name, _, _ in fallback.asked] == [
            f"wiki.{DOMAIN}.",
            "gone.",
            "gone.default.",
        ]


async def test_everything_about_a_name_is_asked_nowhere() -> None:
    async with upstream() as fallback, world() as here:
        here.cluster.config(fallbackZone={"servers": [fallback.url]})
        reply = await here.ask("www.example.com", "ANY")
        assert reply.answer[0].rdtype == dns.rdatatype.HINFO
        assert fallback.asked == []


async def test_a_new_zone_is_asked_at_once() -> None:
    async with upstream() as one, upstream() as other, world() as here:
        one.put("www.example.com", "A", "192.0.2.1")
        other.put("www.example.com", "A", "192.0.2.2")
        for server, text in ((one, "192.0.2.1"), (other, "192.0.2.2")):
            here.cluster.config(fallbackZone={"servers": [server.url]})
            assert (await here.ask("www.example.com")).answer[0][0].to_text() == text


async def test_large_answers_are_cut_for_udp() -> None:
    async with upstream() as fallback, world() as here:
        here.cluster.config(fallbackZone={"servers": [fallback.url]})
        fallback.put("big.example", "TXT", *(f'"{number:04}{"x" * 200}"' for number in range(20)))
        choices: list[dict[str, Any]] = [{}, {"use_edns": 0, "payload": 4096}]
        for options in choices:
            cut = await here.ask("big.example", "TXT", **options)
            assert cut.flags & dns.flags.TC
            assert not cut.answer
        whole = await here.ask("big.example", "TXT", tcp=True)
        assert not whole.flags & dns.flags.TC
        assert len(whole.answer[0]) == 20


async def test_answers_that_point_into_the_cluster_are_dropped() -> None:
    async with upstream() as fallback, world() as here:
        here.cluster.config(fallbackZone={"servers": [fallback.url]})
        fallback.put("a.evil.example", "A", "100.64.0.20", ttl=0)
        fallback.put("b.evil.example", "AAAA", "fdee:1234::14")
        fallback.put("c.evil.example", "CNAME", f"wiki.local.{DOMAIN}.")
        fallback.put("d.evil.example", "HTTPS", "1 . ipv4hint=100.65.0.9")
        fallback.put("e.evil.example", "A", "192.0.2.1")
        for name, kind in (("a", "A"), ("b", "AAAA"), ("c", "A"), ("d", "HTTPS")):
            reply = await here.ask(f"{name}.evil.example", kind)
            assert reply.rcode() == dns.rcode.SERVFAIL, name
            assert not reply.answer
        assert (await here.ask("e.evil.example")).rcode() == 0
        assert here.dns.resolver.filtered == 4


async def test_failures_are_said_to_be_failures() -> None:
    async with world(total=0.1) as here:
        here.cluster.config(fallbackZone={"servers": ["127.0.0.1:1"]})
        reply = await here.ask("www.example.com", use_edns=0)
        assert reply.rcode() == dns.rcode.SERVFAIL
        assert "no server" in here.sink.records[0].error


async def test_a_service_with_an_upstream_of_its_own() -> None:
    async with upstream() as server, world() as here:
        server.put("www.example.com", "A", "192.0.2.1")
        server.put("wiki.local", "A", "192.0.2.2")
        for scheme in ("dns", "udp", "tcp"):
            here.cluster.service(
                "resolver.default",
                mode="DNS",
                isPublic=None,
                config={"upstream": {"url": f"{scheme}://127.0.0.1:{server.port}"}},
                authorization=allow_all(),
            )
            here.service = "resolver.default"
            assert (await here.ask("www.example.com")).answer[0][0].to_text() == "192.0.2.1"
            # It knows nothing of the Cluster's names.
            assert (await here.ask("wiki.local")).answer[0][0].to_text() == "192.0.2.2"
            assert server.asked[-1][2] == (scheme == "tcp")
        asked_of = here.sink.records[0].subject.service
        assert asked_of is not None
        assert asked_of["name"] == "resolver.default"


async def test_a_service_with_an_encrypted_upstream(tmp_path: Path) -> None:
    async with upstream(server_context(tmp_path, "127.0.0.1")) as server, world() as here:
        server.put("www.example.com", "A", "192.0.2.1")
        config: dict[str, Any] = {"upstream": {"url": f"tls://127.0.0.1:{server.port}"}}
        here.service = "resolver.default"
        options: dict[str, Any] = {"mode": "DNS", "isPublic": None, "authorization": allow_all()}
        here.cluster.service("resolver.default", config=config, **options)
        assert (await here.ask("www.example.com")).rcode() == dns.rcode.SERVFAIL  # nobody's word
        config["tls"] = {"trustedCAs": [certs.ca().chain.decode()]}
        here.cluster.service("resolver.default", config=config, **options)
        assert (await here.ask("www.example.com")).answer[0][0].to_text() == "192.0.2.1"


async def test_a_service_without_a_usable_upstream_fails() -> None:
    async with world() as here:
        here.service = "resolver.default"
        for config, problem in (
            ({"upstream": {"url": "https://dns.example/q"}}, "upstream"),
            ({"upstream": {"url": "tls://1.1.1.1", "user": "ann"}}, "client by tls"),
            ({"upstream": {"url": "dns://1.1.1.1", "user": "ann"}}, "no server"),
            ({}, "no upstream"),
        ):
            here.cluster.service(
                "resolver.default",
                mode="DNS",
                isPublic=None,
                config=config,
                authorization=allow_all(),
            )
            assert (await here.ask("www.example.com")).rcode() == dns.rcode.SERVFAIL
            assert problem in here.sink.records[-1].error
