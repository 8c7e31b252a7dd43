"""core.v1 as a whole: lists, tokens, what happens to all methods alike."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.apiserver.core.service import DESCRIPTOR, IF_VERSION
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import PATIENCE, codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

ORDER = meta.CommonListOptionsOrderByType__
MODE = meta.CommonListOptionsOrderByMode__


async def groups(api: Harness, **common: Any) -> core.GroupList:
    options = core.ListGroupOptions(common=meta.CommonListOptions(**common))
    listed: core.GroupList = await api.core("ListGroup", options)
    return listed


def names(listed: core.GroupList) -> list[str]:
    return [item.metadata.name for item in listed.items]


async def test_pages(api: Harness) -> None:
    await api.store(*(resource("Group", name) for name in ("cc", "aa", "bb")))
    first = await groups(api, items_per_page=2)
    assert (first.api_version, first.kind) == ("core/v1", "GroupList")
    assert names(first) == ["cc", "aa"]
    assert first.list_response_meta == meta.ListResponseMeta(
        page=0, items_per_page=2, total_count=3, has_more=True
    )
    second = await groups(api, items_per_page=2, page=1)
    assert names(second) == ["bb"]
    assert not second.list_response_meta.has_more
    everything = await groups(api)
    assert everything.list_response_meta.items_per_page == 200
    capped = await groups(api, items_per_page=5000)
    assert capped.list_response_meta.items_per_page == 1000


async def test_an_empty_first_page_is_a_list(api: Harness) -> None:
    listed = await groups(api)
    assert listed.HasField("list_response_meta")
    assert names(listed) == []


@pytest.mark.parametrize(("page", "code"), [(3, "NOT_FOUND"), (10_001, "INVALID_ARGUMENT")])
async def test_pages_that_are_not_there(api: Harness, page: int, code: str) -> None:
    await api.store(resource("Group", "ops"))
    options = core.ListGroupOptions(common=meta.CommonListOptions(page=page))
    assert codes(await api.refused("ListGroup", options))[0] == code


async def test_order(api: Harness) -> None:
    await api.store(*(resource("Group", name) for name in ("cc", "aa", "bb")))
    assert names(await groups(api, order_by={"type": ORDER.NAME})) == ["aa", "bb", "cc"]
    down = {"type": ORDER.NAME, "mode": MODE.DESC}
    assert names(await groups(api, order_by=down)) == ["cc", "bb", "aa"]
    down = {"type": ORDER.CREATED_AT, "mode": MODE.DESC}
    assert names(await groups(api, order_by=down)) == ["bb", "aa", "cc"]
    assert names(await groups(api, order_by={"mode": MODE.DESC})) == ["cc", "aa", "bb"]


async def test_system_objects_are_listed_and_hidden_ones_are_not(api: Harness) -> None:
    hidden = core.Namespace()
    hidden.metadata.name = "inner"
    hidden.metadata.is_system_hidden = True
    await api.store(hidden)
    listed = await api.core("ListNamespace")
    assert [item.metadata.name for item in listed.items] == ["default", "octelium", "octelium-api"]
    assert listed.list_response_meta.total_count == 3


@pytest.mark.parametrize("by", ["name", "uid"])
async def test_generating_a_token(api: Harness, by: str) -> None:
    spec = {"type": "AUTH_TOKEN", "user": "root"}
    made = await api.core("CreateCredential", resource("Credential", "cred", spec=spec))
    reference = meta.ObjectReference(**{by: getattr(made.metadata, by)})
    request = core.GenerateCredentialTokenRequest(credential_ref=reference)
    reply = await api.core("GenerateCredentialToken", request)
    assert reply.access_token.access_token == "cred"
    got = await api.core("GetCredential", meta.GetOptions(name="cred"))
    assert got.status.total_rotations == 1
    assert got.metadata.actor_operation.endswith("/GenerateCredentialToken")


async def test_a_token_that_cannot_be_leaves_no_trace(api: Harness) -> None:
    spec = {"type": "AUTH_TOKEN", "user": "root", "isDisabled": True}
    await api.core("CreateCredential", resource("Credential", "cred", spec=spec))
    for reference, code in (
        (meta.ObjectReference(name="cred"), "INVALID_ARGUMENT"),
        (meta.ObjectReference(name="other"), "NOT_FOUND"),
        (meta.ObjectReference(), "INVALID_ARGUMENT"),
    ):
        request = core.GenerateCredentialTokenRequest(credential_ref=reference)
        assert codes(await api.refused("GenerateCredentialToken", request))[0] == code


async def test_every_reply_is_preceded_by_a_publication(api: Harness) -> None:
    before = api.published
    await api.core("CreateGroup", resource("Group", "ops"))
    await api.refused("CreateGroup", resource("Group", "ops"))
    assert api.published == before + 2


async def test_of_callers_at_the_same_moment_one_gets_the_name(api: Harness) -> None:
    attempts = (api.core("CreateGroup", resource("Group", "ops")) for _ in range(10))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    made = [result for result in results if isinstance(result, core.Group)]
    errors = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert (len(made), len(errors)) == (1, 9)
    assert {error.code() for error in errors} == {grpc.StatusCode.ALREADY_EXISTS}


def mutations(data: bytes, random: Random) -> list[bytes]:
    """Garbage, cut-off and altered forms of a message."""
    found = [random.randbytes(random.randint(1, 60)), data[: random.randint(0, len(data))]]
    for _ in range(6):
        altered = bytearray(data)
        for _ in range(random.randint(1, 4)):
            altered[random.randrange(len(altered))] = random.choice((0, 8, 0x7F, 0xFF, 65))
        found.append(bytes(altered))
    return found


@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_no_request_brings_a_method_down(api: Harness, seed: int) -> None:
    random = Random(seed)
    seeds = {
        "User": resource("User", "alice", spec={"type": "HUMAN", "email": "a@example.com"}),
        "Service": resource("Service", "wiki", spec={"mode": "WEB", "config": {}}),
        "Policy": resource(
            "Policy",
            "staff",
            spec={"rules": [{"effect": "ALLOW", "condition": {"match": 'ctx.user.spec.x == "a"'}}]},
        ),
    }
    options = meta.GetOptions(name="alice", uid="11111111-1111-4111-8111-111111111111")
    for method in DESCRIPTOR.methods:
        given_message = seeds.get(method.input_type.name, options)
        for data in mutations(given_message.SerializeToString(), random):
            function: Any = api.channel.unary_unary(f"/{DESCRIPTOR.full_name}/{method.name}")
            call = function(data, metadata=api.credentials(), timeout=PATIENCE)
            code = await call.code()
            assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), (
                f"{method.name} {data.hex()}"
            )


async def test_an_update_of_a_version_that_is_no_more(api: Harness) -> None:
    first = await api.core("CreateGroup", resource("Group", "ops"))
    second = resource("Group", "ops", metadata={"description": "second"})
    stored = await updated(api, second, first.metadata.resource_version)
    revision = api.resources.revision
    third = resource("Group", "ops", metadata={"description": "third"})
    for version in (first.metadata.resource_version, "nothing"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await updated(api, third, version)
        code, text = codes(caught.value)
        assert code == "OUT_OF_RANGE"
        assert text == "core.v1.Group ops has been changed: read it again"
    assert api.resources.revision == revision
    await updated(api, third, stored.metadata.resource_version)
    assert api.resources.get(core.Group, name="ops").metadata.description == "third"


async def test_of_two_that_read_the_same_one_writes(api: Harness) -> None:
    version = (await api.core("CreateGroup", resource("Group", "ops"))).metadata.resource_version
    texts = [f"text {number}" for number in range(8)]
    told = await asyncio.gather(
        *(
            updated(api, resource("Group", "ops", metadata={"description": text}), version)
            for text in texts
        ),
        return_exceptions=True,
    )
    (won,) = (reply for reply in told if isinstance(reply, core.Group))
    stored = api.resources.get(core.Group, name="ops")
    assert stored.metadata.description == won.metadata.description
    lost = [codes(one)[0] for one in told if isinstance(one, grpc.aio.AioRpcError)]
    assert lost == ["OUT_OF_RANGE"] * 7


@pytest.mark.parametrize("version", ["", "of another day", "0192aaaa-aaaa-7aaa-8aaa-0123456789ab"])
async def test_what_stands_in_the_resource_is_not_asked_for(api: Harness, version: str) -> None:
    """Official clients send what they once read, or nothing, and the last writer wins."""
    await api.core("CreateGroup", resource("Group", "ops"))
    given = resource("Group", "ops", metadata={"resourceVersion": version, "description": "mine"})
    assert (await api.core("UpdateGroup", given)).metadata.description == "mine"


async def updated(api: Harness, group: core.Group, version: str) -> core.Group:
    """Update a Group that has this version."""
    function: Any = api.channel.unary_unary(
        f"/{DESCRIPTOR.full_name}/UpdateGroup",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=core.Group.FromString,
    )
    metadata = (*api.credentials(), (IF_VERSION, version))
    stored: core.Group = await function(group, metadata=metadata, timeout=PATIENCE)
    return stored
