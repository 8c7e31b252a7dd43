from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from octelium.apiserver.ext import DESCRIPTOR
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import invitation_v1_pb2 as invitation
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def method(api: Harness, name: str) -> Any:
    make = api.channel.unary_stream if name.startswith("Watch") else api.channel.unary_unary
    return make(
        f"/{DESCRIPTOR.full_name}/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=ext.ListAccessLogResponse.FromString,
    )


async def test_the_log_is_queried(api: Harness) -> None:
    metadata = (("x-octelium-session-uid", api.session.metadata.uid),)
    request = ext.ListAccessLogRequest(service="wiki", limit=3)
    reply = await method(api, "ListAccessLog")(request, metadata=metadata)
    assert len(reply.items) == 3
    assert api.log.asked == [request]


async def test_one_entry_comes_explained(api: Harness) -> None:
    api.log.details = True
    request = ext.ListAccessLogRequest(id="zzzz-zzzz-24-0000-0000")
    reply = await api.ext("ListAccessLog", request)
    assert [bool(detail.explanation) for detail in reply.details] == [True] * 3
    assert reply.details[0].explanation.startswith("It cannot be explained: ")
    reply = await api.ext("ListAccessLog", ext.ListAccessLogRequest())
    assert [detail.explanation for detail in reply.details] == [""] * 3


async def test_the_log_is_followed(api: Harness) -> None:
    metadata = (("x-octelium-session-uid", api.session.metadata.uid),)
    stream = method(api, "WatchAccessLog")(ext.ListAccessLogRequest(), metadata=metadata)
    assert [len(reply.items) async for reply in stream] == [3, 3, 3]


@pytest.mark.parametrize(
    "name",
    [
        "ListAccessLog",
        "WatchAccessLog",
        "ListAuthenticationLog",
        "WatchAuthenticationLog",
        "Apply",
        "Explain",
        "ListAccess",
        "PreviewAccess",
        "Invite",
        "DeleteInvitation",
    ],
)
async def test_nobody_reads_or_writes_without_a_session(api: Harness, name: str) -> None:
    call = method(api, name)(ext.ListAccessLogRequest())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (call.read() if name.startswith("Watch") else call)
    assert codes(caught.value)[0] == "UNAUTHENTICATED"
    assert api.log.asked == []
    assert api.attempts.asked == []


async def test_who_signed_in_is_queried_and_followed(api: Harness) -> None:
    metadata = (("x-octelium-session-uid", api.session.metadata.uid),)
    request = ext.ListAuthenticationLogRequest(user="ann", limit=2)
    reply = await api.ext("ListAuthenticationLog", request)
    assert [item.id for item in reply.items] == ["auth-2", "auth-1"]
    assert api.attempts.asked == [request]
    stream = api.channel.unary_stream(
        f"/{DESCRIPTOR.full_name}/WatchAuthenticationLog",
        request_serializer=ext.ListAuthenticationLogRequest.SerializeToString,
        response_deserializer=ext.ListAuthenticationLogResponse.FromString,
    )(request, metadata=metadata)
    assert [len(each.items) async for each in stream] == [2, 2, 2]


async def test_applies_are_applied(api: Harness) -> None:
    response = await api.apply(resource("Group", "ops"))
    assert [operation.name for operation in response.operations] == ["ops"]


async def test_larger_requests_fit_than_elsewhere(api: Harness) -> None:
    attrs = {"a": "x" * 19_000}
    groups = [resource("Group", f"group-{n}", spec={"attrs": attrs}) for n in range(300)]
    assert sum(group.ByteSize() for group in groups) > 5 << 20
    response = await api.apply(*groups)
    assert len(response.operations) == 300


async def test_a_person_is_invited_by_name_or_uid(api: Harness) -> None:
    [ann] = await api.store(resource("User", "ann", spec={"type": "HUMAN"}))
    reply = await api.ext("Invite", ext.InviteRequest(user="ann"))
    assert re.fullmatch(r"https://example\.com/invite#[A-Za-z0-9_-]{43}", reply.url)
    assert reply.expires_at.seconds == int(api.clock.now) + 900
    assert reply.user.name == "ann"
    made = api.signed_in.last()
    assert made.reason == f"invited by User root (Session {api.session.metadata.name})"
    assert made.operation == f"{DESCRIPTOR.full_name}/Invite"
    (kept,) = api.resources.list(invitation.Invitation)
    assert kept.metadata.actor_ref.uid == api.session.metadata.uid
    again = await api.ext("Invite", ext.InviteRequest(user=ann.metadata.uid))
    assert again.url != reply.url
    assert api.resources.count(invitation.Invitation) == 1
    gone = await api.ext("DeleteInvitation", ext.DeleteInvitationRequest(user="ann"))
    assert gone.deleted
    gone = await api.ext("DeleteInvitation", ext.DeleteInvitationRequest(user="ann"))
    assert not gone.deleted
    assert api.resources.count(invitation.Invitation) == 0


@pytest.mark.parametrize(
    ("user", "code", "text"),
    [
        ("nobody", "NOT_FOUND", "nobody does not exist"),
        ("", "NOT_FOUND", "which User"),
        ("root", "FAILED_PRECONDITION", "root is no HUMAN"),
        ("off", "FAILED_PRECONDITION", "off is disabled"),
    ],
)
async def test_who_is_not_invited(api: Harness, user: str, code: str, text: str) -> None:
    await api.store(resource("User", "off", spec={"type": "HUMAN", "isDisabled": True}))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.ext("Invite", ext.InviteRequest(user=user))
    assert codes(caught.value)[0] == code
    assert text in str(caught.value.details())
    assert api.signed_in.last().code == code
    assert api.resources.count(invitation.Invitation) == 0
