from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.insight.access import MAX_LOGGED_REQUESTS
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.apiserver.harness import resource, wrapped

if TYPE_CHECKING:
    from typing import Any

    from tests.apiserver.harness import Harness

LISTS = [
    *("ListUser", "ListGroup", "ListService", "ListNamespace", "ListSession", "ListDevice"),
    *("ListPolicy", "GetClusterConfig"),
]


def preview(*resources: Any, logged: int = 0, **options: Any) -> ext.PreviewAccessRequest:
    apply = ext.ApplyRequest(resources=wrapped(*resources), **options)
    return ext.PreviewAccessRequest(apply=apply, logged_requests=logged)


async def test_who_may_what(api: Harness) -> None:
    reply = await api.ext("ListAccess", ext.ListAccessRequest())
    assert [item.user for item in reply.items] == ["ann"]
    assert api.thinker.listed == [("", "", api.session.metadata.uid)]


async def test_one_user_and_one_service(api: Harness) -> None:
    await api.store(resource("Service", "wiki.default"))
    await api.ext("ListAccess", ext.ListAccessRequest(user="root", service="wiki"))
    assert api.thinker.listed[0][:2] == ("root", "wiki.default")


@pytest.mark.parametrize("fields", [{"user": "nobody"}, {"service": "nothing"}])
async def test_what_does_not_exist(api: Harness, fields: dict[str, str]) -> None:
    code, text = await api.ext_refused("ListAccess", ext.ListAccessRequest(**fields))
    assert code == "NOT_FOUND"
    assert next(iter(fields.values())) in text
    # Without the rights not even that is told.
    api.denied = {"ListPolicy"}
    code, _ = await api.ext_refused("ListAccess", ext.ListAccessRequest(**fields))
    assert code == "PERMISSION_DENIED"


@pytest.mark.parametrize("right", LISTS)
async def test_each_right_is_needed(api: Harness, right: str) -> None:
    api.denied = {right}
    for method, request in (
        ("ListAccess", ext.ListAccessRequest()),
        ("PreviewAccess", preview(resource("Group", "ops"))),
    ):
        code, text = await api.ext_refused(method, request)
        assert code == "PERMISSION_DENIED"
        assert text.endswith(f"the right to {right}")
    assert not api.thinker.listed
    assert not api.thinker.previewed


async def test_a_preview_sees_what_the_apply_would_write(api: Harness) -> None:
    before = api.resources.revision
    await api.store(resource("Group", "old"))
    reply = await api.ext(
        "PreviewAccess",
        preview(
            resource("Group", "ops"),
            resource("User", "ann", spec={"type": "HUMAN", "groups": ["ops"]}),
            prune=True,
            prune_kinds=["Group"],
        ),
    )
    assert (reply.pairs, reply.logged_requests) == (7, 0)
    ((hypothesis, logged, asker),) = api.thinker.previewed
    assert hypothesis == [("Group", "old"), ("Group", "ops"), ("User", "ann")]
    assert (logged, asker) == (0, api.session.metadata.uid)
    # Nothing of it was written, dry run or not.
    assert api.resources.revision == before + 1
    assert api.resources.find("Group", name="ops") is None
    assert api.resources.find("Group", name="old") is not None


@pytest.mark.parametrize("right", ["CreateGroup", "GetUser", "UpdateUser", "DeletePolicy"])
async def test_a_preview_takes_what_its_apply_takes(api: Harness, right: str) -> None:
    await api.store(resource("User", "ann", spec={"type": "HUMAN"}), resource("Policy", "old"))
    api.denied = {right}
    request = preview(
        resource("Group", "ops"),
        resource("User", "ann", spec={"type": "HUMAN", "groups": ["ops"]}),
        prune=True,
        prune_kinds=["Policy"],
    )
    code, _ = await api.ext_refused("PreviewAccess", request)
    assert code == "PERMISSION_DENIED"
    assert not api.thinker.previewed


async def test_what_cannot_be_applied_cannot_be_previewed(api: Harness) -> None:
    bad = resource("Policy", "ops", spec={"rules": [{"effect": "ALLOW"}]})
    code, text = await api.ext_refused("PreviewAccess", preview(bad))
    assert code == "INVALID_ARGUMENT"
    assert "resources[0] Policy ops" in text
    assert not api.thinker.previewed


async def test_logged_requests_take_the_right_to_list_the_log(api: Harness) -> None:
    api.denied = {"ListAccessLog"}
    code, _ = await api.ext_refused("PreviewAccess", preview(resource("Group", "a1"), logged=1))
    assert code == "PERMISSION_DENIED"
    await api.ext("PreviewAccess", preview(resource("Group", "a1")))
    api.denied = set()
    reply = await api.ext(
        "PreviewAccess", preview(resource("Group", "a1"), logged=MAX_LOGGED_REQUESTS)
    )
    assert reply.logged_requests == MAX_LOGGED_REQUESTS


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        (ext.PreviewAccessRequest(), "apply"),
        (preview(logged=MAX_LOGGED_REQUESTS + 1), "loggedRequests"),
    ],
)
async def test_what_cannot_be_previewed(
    api: Harness, request_: ext.PreviewAccessRequest, place: str
) -> None:
    code, text = await api.ext_refused("PreviewAccess", request_)
    assert code == "INVALID_ARGUMENT"
    assert text.startswith(f"{place}: ")
    assert api.decided == []
