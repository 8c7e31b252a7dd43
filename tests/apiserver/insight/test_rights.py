from __future__ import annotations

import pytest

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.insight.rights import (
    EXPLAIN,
    LIST_ACCESS_LOG,
    PARTIES,
    SHOWN,
    Rights,
    core_method,
)
from octelium.apiserver.rpc import ApiError, Call
from octelium.schema.pb import ext_v1_pb2 as ext

CALL = Call(path=EXPLAIN, session_uid="s-1")


class Policy:
    """Refuses the methods of a list and counts what it is asked."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.asked: list[str] = []

    async def __call__(self, call: Call, method: str) -> bool:
        assert call is CALL
        self.asked.append(method)
        return method.rpartition("/")[2] not in self.refused


def test_the_methods_exist() -> None:
    methods = ext.DESCRIPTOR.services_by_name["MainService"].methods_by_name
    for method in (EXPLAIN, LIST_ACCESS_LOG):
        service, _, name = method.lstrip("/").rpartition("/")
        assert methods[name].containing_service.full_name == service
    assert all("Get" in all_rules()[kind].verbs for kind in SHOWN)
    assert set(PARTIES) < set(SHOWN)


async def test_each_right_is_decided_once() -> None:
    policy = Policy("GetUser")
    rights = Rights(policy, CALL)
    for _ in range(3):
        assert await rights.may_get("Policy")
        assert not await rights.may_get("User")
    assert policy.asked == [core_method("Get", "Policy"), core_method("Get", "User")]


@pytest.mark.parametrize("kind", SHOWN)
async def test_what_may_be_read(kind: str) -> None:
    rights = Rights(Policy(f"Get{kind}"), CALL)
    assert await rights.readable() == set(SHOWN) - {kind}


@pytest.mark.parametrize("kind", ["", "Nothing", "PolicyTrigger", "AccessLog"])
async def test_nobody_gets_what_no_method_gives(kind: str) -> None:
    policy = Policy()
    assert not await Rights(policy, CALL).may_get(kind)
    assert policy.asked == []


async def test_what_is_missing_is_named() -> None:
    rights = Rights(Policy("GetUser", "ListAccessLog"), CALL)
    await rights.require([core_method("Get", "Policy")])
    with pytest.raises(ApiError, match=r"Unauthorized: .* GetUser, ListAccessLog$") as caught:
        await rights.require([core_method("Get", kind) for kind in SHOWN] + [LIST_ACCESS_LOG])
    assert caught.value.code.name == "PERMISSION_DENIED"


async def test_a_decision_that_fails_refuses() -> None:
    async def fails(call: Call, method: str) -> bool:
        raise RuntimeError("no decision")

    with pytest.raises(RuntimeError):
        await Rights(fails, CALL).readable()
