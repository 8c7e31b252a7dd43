from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.api import Api, FixedToken
from octelium.client.changes import Stepwise, apply, declared, refusals, wrap
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.resources import Resources
from octelium.client.settings import Target
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.standin import DOMAIN, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator


def resource(kind: str, name: str, **parts: Any) -> Any:
    value = {"kind": kind, "metadata": {"name": name}, "spec": {}, **parts}
    return from_json(KINDS[kind].message, value)


def outcome(operations: Any) -> list[tuple[str, str, str]]:
    names = ext.Action__.Action
    return [(o.kind, o.name, names.Name(o.action)) for o in operations]


@pytest.fixture
def api(cluster: StandIn) -> Iterator[Api]:
    cluster.new_session()
    name = f"octelium-api.{DOMAIN}"
    target = Target(DOMAIN, "127.0.0.1", cluster.port, name, cluster.authority.pem)
    with open_channel(target, pytest.fail) as channel:
        yield Api(channel, FixedToken("access-1"), sleep=lambda _: None)


def test_every_declarable_kind_fits_into_a_request() -> None:
    for kind in KINDS.values():
        if kind.declarable:
            message = resource(kind.name, "default")
            wrapped = wrap(message)
            assert getattr(wrapped, str(wrapped.WhichOneof("resource"))) == message


def test_what_a_request_asks_for(cluster: StandIn, api: Api) -> None:
    apply(api.ext, [resource("Group", "ops")], strict=True, dry_run=True)
    apply(api.ext, [], prune_kinds=["User"], prune_builtin=True)
    asked = [call.request for call in cluster.calls]
    assert [(one.strict, one.dry_run, one.prune, one.prune_builtin) for one in asked] == [
        (True, True, False, False),
        (False, False, True, True),
    ]


def test_one_call_for_all(cluster: StandIn, api: Api) -> None:
    messages = [resource("Group", "ops"), resource("User", "ann", spec={"groups": ["ops"]})]
    planned = apply(api.ext, messages, dry_run=True).operations
    assert outcome(planned) == [("Group", "ops", "CREATED"), ("User", "ann", "CREATED")]
    assert cluster.objects == {}
    assert outcome(apply(api.ext, messages).operations) == outcome(planned)
    assert outcome(apply(api.ext, messages).operations) == [
        ("Group", "ops", "UNCHANGED"),
        ("User", "ann", "UNCHANGED"),
    ]
    pruned = apply(api.ext, messages[:1], prune_kinds=["User"]).operations
    assert outcome(pruned) == [("Group", "ops", "UNCHANGED"), ("User", "ann", "DELETED")]
    assert cluster.methods() == ["Apply"] * 4


def test_refused_resources_are_named(api: Api) -> None:
    messages = [resource("Group", "ops"), resource("User", "ann", spec={"groups": ["opps"]})]
    with pytest.raises(ApiError) as caught:
        apply(api.ext, messages)
    (refused,) = refusals(caught.value)
    assert (refused.index, refused.name, refused.path) == (1, "ann", "spec.groups[0]")
    assert refusals(ApiError("INTERNAL", "", "")) == []


def test_a_foreign_cluster_says_so(cluster: StandIn, api: Api) -> None:
    cluster.foreign = True
    with pytest.raises(ApiError) as caught:
        apply(api.ext, [])
    assert caught.value.code == "UNIMPLEMENTED"


def test_step_by_step(cluster: StandIn, api: Api) -> None:
    for old in (
        resource("Policy", "keep"),
        resource("User", "ann", spec={"email": "old@lab.test"}),
        resource("User", "gone"),
        resource("User", "octelium", metadata={"name": "octelium", "isSystem": True}),
        resource("Service", "wiki.default", spec={"port": 80}),
        resource("Secret", "key"),
    ):
        cluster.add(old)
    messages = [
        resource("User", "ann", spec={"email": "new@lab.test"}),
        resource("Service", "wiki", spec={"port": 80}),
        resource("Group", "ops"),
        resource("Secret", "key", data={"value": "s"}),
    ]
    steps = Stepwise(Resources(api.core))
    plan = steps.plan(messages, ["User", "Policy"])
    assert outcome(operation for operation, _ in plan) == [
        ("Secret", "key", "UPDATED"),
        ("Group", "ops", "CREATED"),
        ("User", "ann", "UPDATED"),
        ("Service", "wiki.default", "UNCHANGED"),
        ("User", "gone", "DELETED"),
        ("Policy", "keep", "DELETED"),
    ]
    assert list(plan[2][0].changed) == ["spec.email"]
    assert list(plan[0][0].changed) == ["data"]
    assert "s3cret" not in str(plan[0][0].after)
    results = list(steps.carry_out(plan))
    assert [error for _, error in results] == [None] * 6
    assert cluster.objects["User", "ann"].spec.email == "new@lab.test"
    assert ("User", "gone") not in cluster.objects
    assert ("User", "octelium") in cluster.objects
    sent = [call for call in cluster.calls if call.method.startswith(("Update", "Delete"))]
    assert [call.method for call in sent] == [
        "UpdateSecret",
        "UpdateUser",
        "DeleteUser",
        "DeletePolicy",
    ]


def test_step_by_step_goes_on_after_a_refusal(cluster: StandIn, api: Api) -> None:
    cluster.failures["CreateUser"] = [RefusedError("INVALID_ARGUMENT", "no")]
    steps = Stepwise(Resources(api.core))
    plan = steps.plan([resource("User", "ann"), resource("User", "bob")], [])
    errors = [error and error.code for _, error in steps.carry_out(plan)]
    assert errors == ["INVALID_ARGUMENT", None]
    assert [name for _, name in cluster.objects] == ["bob"]


def test_the_declared_part_has_neither_data_nor_what_the_server_makes(cluster: StandIn) -> None:
    stored = cluster.add(resource("Secret", "key", data={"value": "s3cret"}))
    part = declared(stored)
    assert part == resource("Secret", "key", apiVersion="core/v1")
