from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.dns import resolver
from octelium.vigil.dns.resolver_probe import ask_resolvers
from tests.vigil.dns.world import upstream

if TYPE_CHECKING:
    import pytest


def asked(*servers: str) -> core.ClusterConfigSpecDns:
    made = core.ClusterConfigSpecDns()
    made.fallback_zone.servers.extend(servers)
    return made


async def test_resolvers_that_answer() -> None:
    async with upstream() as server:
        found = await ask_resolvers(
            asked(f"udp://127.0.0.1:{server.port}", f"tcp://127.0.0.1:{server.port}"),
            "resolver",
            patience=60,
        )
        assert [each.outcome for each in found] == ["ok", "ok"]
        assert found[0].upstream == f"udp://127.0.0.1:{server.port}"
        assert found[0].detail.startswith("it answers within ")


async def test_resolvers_that_do_not() -> None:
    found = await ask_resolvers(asked("udp://127.0.0.1:1", "tcp://127.0.0.1:1"), "", patience=0.2)
    assert [each.outcome for each in found] == ["fail", "fail"]
    assert all("fallbackZone" in each.remedy for each in found)


async def test_one_of_several_is_no_more_than_a_warning() -> None:
    async with upstream() as server:
        found = await ask_resolvers(
            asked(f"udp://127.0.0.1:{server.port}", "tcp://127.0.0.1:1"), "", patience=60
        )
        assert [each.outcome for each in found] == ["ok", "warn"]


async def test_those_that_nobody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_DEFAULT", ("tcp://127.0.0.1:1",))
    (found,) = await ask_resolvers(asked(), "", patience=0.2)
    assert found.outcome == "warn"
