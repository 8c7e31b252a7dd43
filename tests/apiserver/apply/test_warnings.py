from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.apply.steps import Step
from octelium.apiserver.apply.warnings import (
    MOST,
    Warnings,
    find_warnings,
    has_policies,
    names_policies,
)
from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.core.warnings import ERRORS_TRAILER
from octelium.policy.lint import Finding
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.apiserver.harness import codes, resource, trailer

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

RULES = all_rules()


def policy(name: str, *texts: str) -> Any:
    rules = [{"effect": "ALLOW", "condition": {"match": text}} for text in texts]
    return resource("Policy", name, spec={"rules": rules})


TYPO = policy("staff", "true", "ctx.user.spec.emial == 'a'")
GROUP = resource("Group", "ops")
WEB = policy("web", "ctx.request.http.path == '/'")
SHELL = resource(
    "Service",
    "shell",
    spec={
        "mode": "SSH",
        "config": {"upstream": {"url": "ssh://10.0.0.1"}},
        "authorization": {"policies": ["web"]},
    },
)


async def test_an_apply_says_what_is_likely_wrong(api: Harness) -> None:
    for options in ({"dry_run": True}, {}, {}):  # the last one changes nothing
        response = await api.apply(GROUP, TYPO, **options)
        [found] = response.warnings
        assert (found.index, found.kind, found.name) == (1, "Policy", "staff")
        assert found.path == "spec.rules[1].condition.match"
        assert found.problem == "`ctx.user.spec` has no member 'emial'"
        assert found.remedy == "did you mean email?"
    assert [item.action for item in response.operations] == [ext.Action__.UNCHANGED] * 2
    assert not (await api.apply(GROUP)).warnings


async def test_a_strict_apply_is_refused_whole(api: Harness) -> None:
    for options in ({"dry_run": True}, {}):
        error = await api.apply_refused(GROUP, TYPO, strict=True, **options)
        code, text = codes(error)
        assert code == "INVALID_ARGUMENT"
        assert text.startswith("resources[1] Policy staff: spec.rules[1].condition.match: ")
        content = trailer(error, ERRORS_TRAILER)
        assert content is not None
        [refused] = ext.ApplyErrors.FromString(content).errors
        assert (refused.index, refused.remedy) == (1, "did you mean email?")
    assert api.resources.find("Group", name="ops") is None
    right = policy("staff", "ctx.user.spec.email == 'a'")
    assert len((await api.apply(GROUP, right, strict=True)).operations) == 2


async def test_a_policy_and_a_service_that_names_it_in_one_apply(api: Harness) -> None:
    response = await api.apply(SHELL, WEB)
    [found] = response.warnings
    assert (found.index, found.name, found.path) == (1, "web", "spec.rules[0].condition")
    assert "never be true where it is attached (mode SSH)" in found.problem
    assert found.remedy == "such requests have ctx.request.ssh"


async def test_a_service_that_names_a_stored_policy(api: Harness) -> None:
    assert not (await api.apply(WEB)).warnings
    [found] = (await api.apply(SHELL)).warnings
    assert (found.index, found.name, found.path) == (
        0,
        "shell.default",
        "spec.authorization.policies[0]",
    )
    assert found.problem.startswith("in spec.rules[0].condition of Policy web: this can never be")
    error = await api.apply_refused(SHELL, strict=True)
    assert "Policy web" in codes(error)[1]
    # The same Policy may be right for others.
    user = {"type": "HUMAN", "authorization": {"policies": ["web"]}}
    ann = resource("User", "ann", spec=user)
    assert not (await api.apply(SHELL, ann, strict=True)).warnings


async def test_nobody_learns_of_policies_that_they_may_not_read(api: Harness) -> None:
    await api.apply(WEB)
    api.denied.add("GetPolicy")
    assert not (await api.apply(SHELL)).warnings
    api.denied.clear()
    assert len((await api.apply(SHELL)).warnings) == 1


@pytest.mark.parametrize("right", ["ListService", "ListUser", "ListSession", "GetClusterConfig"])
@pytest.mark.parametrize("holder", ["Service", "User"])
async def test_nobody_learns_of_attachments_that_they_may_not_read(
    api: Harness, right: str, holder: str
) -> None:
    probes = [
        policy("web", text)
        for text in (
            "ctx.request.http.path == '/'",
            "ctx.request.ssh.connect.user == 'a'",
            "ctx.user.spec.email == 'a'",
        )
    ]
    await api.apply(WEB)
    api.denied = {right}
    unattached = [(await api.apply(probe, dry_run=True)).warnings for probe in probes]
    api.denied.clear()
    user = {"type": "HUMAN", "authorization": {"policies": ["web"]}}
    await api.apply(SHELL if holder == "Service" else resource("User", "ann", spec=user))
    assert bool((await api.apply(probes[0], dry_run=True)).warnings) is (holder == "Service")
    api.denied = {right}
    assert [(await api.apply(probe, dry_run=True)).warnings for probe in probes] == unattached
    assert not (await api.apply(SHELL, dry_run=True)).warnings


async def test_prunes_are_not_looked_at(api: Harness) -> None:
    await api.apply(TYPO)
    response = await api.apply(prune=True, prune_kinds=["Policy"])
    assert not response.warnings
    assert [item.action for item in response.operations] == [ext.Action__.DELETED]


async def test_what_does_nothing_here(api: Harness) -> None:
    made = resource("Service", "wiki.default")
    made.spec.mode = core.ServiceSpecMode__.HTTP
    made.spec.config.upstream.url = "http://wiki.internal"
    made.spec.deployment.replicas = 2
    response = await api.apply(made)
    (warning,) = response.warnings
    assert (warning.name, warning.path) == ("wiki.default", "spec.deployment.replicas")
    assert "upstream.container.replicas" in warning.remedy
    error = await api.apply_refused(made, strict=True)
    code, text = codes(error)
    assert (code, "spec.deployment.replicas" in text) == ("INVALID_ARGUMENT", True)


async def test_other_calls_get_their_turn(api: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr("octelium.apiserver.apply.warnings.asyncio.sleep", pause)
    step = Step(RULES["Policy"], "staff", 0, TYPO, new=TYPO)
    found = await find_warnings(
        api.resources, [step] * 120, named=False, visible=False, controller=api.controller
    )
    assert len(list(found.sent())) == 120
    assert paused == [0, 0]


def test_a_flood_of_warnings_is_cut() -> None:
    step = Step(RULES["Policy"], "staff", 3)
    sent = list(Warnings([(step, Finding("spec", "is odd"))] * (MOST + 7)).sent())
    assert len(sent) == MOST + 1
    assert sent[-1].problem == "there are 7 more warnings"
    assert not sent[-1].HasField("index")
    assert sent[0].index == 3


def test_services_that_name_policies() -> None:
    assert names_policies(Step(RULES["Service"], "shell", 0, SHELL))
    assert not names_policies(Step(RULES["Service"], "shell", 0, resource("Service", "shell")))
    assert not names_policies(Step(RULES["Policy"], "web", 0, WEB))
    assert has_policies(Step(RULES["Service"], "shell", 0, SHELL))
    assert has_policies(Step(RULES["Policy"], "web", 0, WEB))
    assert not has_policies(Step(RULES["Group"], "ops", 0, GROUP))
