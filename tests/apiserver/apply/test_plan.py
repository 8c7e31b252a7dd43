from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.apply.plan import BuiltIn, Plan, make_plan
from octelium.apiserver.apply.steps import read_prunes, read_steps
from octelium.apiserver.rpc import ApiError, Call
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.apiserver.harness import resource, wrapped

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

CALL = Call("/a.B/C", session_uid="s")
ALLOW = {"rules": [{"effect": "ALLOW", "condition": {"matchAny": True}}]}


def plan_of(
    api: Harness,
    *messages: Any,
    prune: tuple[str, ...] = (),
    call: Call = CALL,
    built_in: BuiltIn | None = None,
) -> Plan:
    request = ext.ApplyRequest(
        resources=wrapped(*messages), prune=bool(prune), prune_kinds=list(prune)
    )
    steps, pruned = read_steps(request, CALL), read_prunes(request)
    return make_plan(api.resources, steps, pruned, call, built_in)


def verbs(plan: Plan) -> list[str]:
    return [method.rpartition("/")[2] for method, _ in plan.methods()]


async def test_each_operation_is_its_official_method(api: Harness) -> None:
    await api.store(resource("Group", "same"), resource("Group", "other"))
    plan = plan_of(
        api,
        resource("Group", "new"),
        resource("Group", "same"),
        resource("Group", "other", metadata={"displayName": "Other"}),
    )
    assert [step.action for step in plan.steps] == [
        ext.Action__.CREATED,
        ext.Action__.UNCHANGED,
        ext.Action__.UPDATED,
    ]
    assert verbs(plan) == ["CreateGroup", "GetGroup", "GetGroup", "UpdateGroup"]
    assert next(plan.methods())[0] == "/octelium.api.main.core.v1.MainService/CreateGroup"


async def test_a_guess_at_a_secret_needs_the_right_to_write_it(api: Harness) -> None:
    await api.store(resource("Secret", "key", data={"value": "hunter2"}))
    for guess in ("hunter2", "hunter3"):
        plan = plan_of(api, resource("Secret", "key", data={"value": guess}))
        assert verbs(plan) == ["GetSecret", "UpdateSecret"]


async def test_hidden_objects_are_not_compared(api: Harness) -> None:
    hidden = resource("Secret", "hidden-key", data={"value": "hunter2"})
    hidden.metadata.is_system = hidden.metadata.is_system_hidden = True
    await api.store(hidden)
    for guess in ("hunter2", "hunter3"):
        with pytest.raises(ApiError, match="belongs to the Cluster itself"):
            plan_of(api, resource("Secret", "hidden-key", data={"value": guess}))


async def test_what_cannot_be_created_must_exist(api: Harness) -> None:
    unknown = resource("Session", metadata={"uid": "11111111-1111-4111-8111-111111111111"})
    odd = resource("Session", metadata={"uid": "nonsense"})
    with pytest.raises(ApiError) as caught:
        plan_of(api, resource("Device", "linux-aaaaaaaa"), unknown, odd)
    lines = caught.value.message.splitlines()
    assert "does not exist" in lines[0]
    assert "does not exist" in lines[1]
    assert "metadata.uid" in lines[2]


async def test_stages_follow_references(api: Harness) -> None:
    plan = plan_of(
        api,
        resource("Service", "wiki.prod"),
        resource("User", "alice"),
        resource("Policy", "eu.staff"),
        resource("ClusterConfig"),
        resource("Policy", "staff"),
        resource("Namespace", "prod"),
        resource("Secret", "key"),
        resource("Group", "ops"),
        resource("Credential", "cred"),
        resource("IdentityProvider", "corp"),
        resource("Config", "geo"),
    )
    order = [step.name for stage in plan.stages() for step in stage]
    assert order == [
        *("key", "geo", "staff", "eu.staff", "corp", "prod", "ops", "alice"),
        *("wiki.prod", "cred", "default"),
    ]


async def test_pruning_spares_what_is_declared_and_what_is_the_clusters(api: Harness) -> None:
    await api.store(
        resource("Namespace", "prod"),
        resource("Policy", "staff", spec=ALLOW),
        resource("Policy", "eu.staff", spec=ALLOW),
        resource("Service", "wiki.prod"),
        resource("Group", "ops"),
        resource("Group", "dev"),
    )
    plan = plan_of(api, resource("Group", "dev"), prune=("Policy", "Namespace", "Service", "Group"))
    assert [(step.rules.name, step.name) for step in plan.prunes] == [
        ("Service", "wiki.prod"),
        ("Group", "ops"),
        ("Namespace", "prod"),
        ("Policy", "eu.staff"),
        ("Policy", "staff"),
    ]
    assert verbs(plan) == [
        *("ListPolicy", "ListNamespace", "ListService", "ListGroup", "GetGroup"),
        *("DeleteService", "DeleteGroup", "DeleteNamespace", "DeletePolicy", "DeletePolicy"),
    ]
    # Groups go last: an applied update may take their last member out.
    assert [step.name for step in [*plan.stages()][-1]] == ["ops"]


async def test_what_the_cluster_made_and_the_caller_s_own_are_spared(api: Harness) -> None:
    await api.store(resource("Policy", "made"), resource("Policy", "edited"))
    await api.store(resource("Policy", "declared"), resource("Group", "made"))
    made = frozenset(
        api.resources.get(kind, name=name).metadata.uid
        for kind, name in [("Policy", "made"), ("Policy", "declared"), ("Group", "made")]
    )
    own = Call("/a.B/C", session_uid=api.session.metadata.uid)
    given = (resource("Policy", "declared", spec=ALLOW),)

    plan = plan_of(api, *given, prune=("Policy", "User"), call=own, built_in=lambda _: made)
    assert [(step.rules.name, step.name) for step in plan.prunes] == [("Policy", "edited")]
    assert [(one.kind, one.name, one.own) for one in plan.spared] == [
        ("User", "root", True),
        ("Policy", "made", False),
    ]
    assert "DeletePolicy" in verbs(plan)
    assert "DeleteUser" not in verbs(plan)

    plan = plan_of(api, *given, prune=("Policy", "User"), call=own)
    assert {step.name for step in plan.prunes} == {"made", "edited"}
    assert [one.name for one in plan.spared] == ["root"]
    assert not plan_of(api, *given, call=own, built_in=lambda _: made).spared
