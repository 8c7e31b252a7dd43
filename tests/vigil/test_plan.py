from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.vigil.plan import Plan
from tests.vigil.world import DOMAIN, MODES, World, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        yield made


def decide(plan: Plan) -> Decision:
    config = plan.entry.message.spec.config
    return Decision(Outcome.ALLOWED, Reason(ReasonType.POLICY_MATCH), plan.entry, config=config)


async def test_a_plan(here: World) -> None:
    here.serve()
    plan = Plan(here.entry(), here.environment)
    assert (plan.host, plan.public_host) == (f"wiki.default.{DOMAIN}", f"wiki.{DOMAIN}")
    assert plan.problem is None
    assert not plan.disabled
    assert plan.sites[True].login == f"https://{DOMAIN}"
    assert plan.sites[True].public == f"https://wiki.{DOMAIN}"


async def test_a_configuration_is_worked_out_once(here: World) -> None:
    here.serve()
    plan = Plan(here.entry(), here.environment)
    decision = decide(plan)
    assert plan.configuration(decision) is plan.configuration(decision)


async def test_a_service_without_a_configuration(here: World) -> None:
    here.feed.put(service())
    plan = Plan(here.entry(), here.environment)
    decision = Decision(Outcome.ALLOWED, Reason(ReasonType.POLICY_MATCH), plan.entry)
    problem = plan.configuration(decision).problem
    assert problem is not None
    assert problem.status == 502


@pytest.mark.parametrize("mode", [MODES.KUBERNETES, MODES.MCP, MODES.LLM, MODES.RDP_WEB, MODES.SSH])
async def test_modes_that_this_version_lacks(here: World, mode: int) -> None:
    here.serve(mode=mode)
    reply = await here.request()
    assert reply.status == 500
    assert here.origins.requests == []
    assert "is not offered by this version" in here.sink.records[0].error


async def test_cross_origin_settings_that_cannot_be_sent(here: World) -> None:
    made = here.serve()
    made.spec.config.http.cors.allow_methods = "a\r\nb"
    here.feed.put(made)
    assert (await here.request()).status == 502
    assert here.origins.requests == []


async def test_a_path_of_another_api(here: World) -> None:
    made = service("auth.octelium-api", mode=MODES.GRPC)
    made.metadata.system_labels["apiserver-path"] = "/octelium.api.main.auth, /octelium.ext"
    here.feed.put(made)
    plan = Plan(here.entry("auth.octelium-api"), here.environment)
    assert plan.serves(b"/octelium.api.main.auth.v1.MainService/X")
    assert plan.serves(b"/octelium.ext.v1.MainService/X")
    assert not plan.serves(b"/octelium.api.main.core.v1.MainService/X")
    assert not plan.serves(b"/octelium.api.main.authority.v1.MainService/X")
    here.serve()
    assert Plan(here.entry(), here.environment).serves(b"/anything")
