from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client import resources as module
from octelium.client.api import Api, FixedToken
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.resources import CHANGED, IF_VERSION, STRICT, WARNINGS_TRAILER, Page, Resources
from octelium.client.settings import Target
from octelium.schema.errors import Invalid
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.client.standin import DOMAIN, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, SERVICE, SESSION = KINDS["User"], KINDS["Service"], KINDS["Session"]


@pytest.fixture
def resources(cluster: StandIn) -> Iterator[Resources]:
    cluster.new_session()
    name = f"octelium-api.{DOMAIN}"
    target = Target(DOMAIN, "127.0.0.1", cluster.port, name, cluster.authority.pem)
    with open_channel(target, pytest.fail) as channel:
        yield Resources(Api(channel, FixedToken("access-1"), sleep=lambda _: None).core)


def named(name: str) -> core.User:
    return core.User(kind="User", metadata=meta.Metadata(name=name))


def test_create_get_update_delete(resources: Resources) -> None:
    made = resources.create(USER, named("bob"))
    assert made.metadata.uid
    made.spec.email = "bob@lab.test"
    resources.update(USER, made)
    assert resources.get(USER, "bob").spec.email == "bob@lab.test"
    assert resources.get(USER, made.metadata.uid).metadata.name == "bob"
    resources.delete(USER, made.metadata.uid)
    with pytest.raises(ApiError, match="does not exist"):
        resources.get(USER, "bob")


def test_writes_tell_what_may_be_wrong(cluster: StandIn, resources: Resources) -> None:
    warnings = [ext.ApplyError(path="spec.x", problem="is odd"), ext.ApplyError(problem="more")]
    content = ext.ApplyErrors(errors=warnings).SerializeToString()
    cluster.trailers["CreateUser"] = {WARNINGS_TRAILER: content}
    told: list[ext.ApplyError] = []
    made = resources.create(USER, named("bob"), warned=told.append)
    assert told == warnings
    resources.update(USER, made, warned=told.append, strict=True)
    assert told == warnings
    assert [call.metadata.get(STRICT) for call in cluster.calls] == [None, "true"]
    cluster.objects.clear()
    resources.create(USER, named("bob"))


def test_names_of_services_are_completed(cluster: StandIn, resources: Resources) -> None:
    cluster.add(core.Service(metadata=meta.Metadata(name="wiki")))
    assert resources.get(SERVICE, "wiki").metadata.name == "wiki.default"
    resources.delete(SERVICE, "wiki")
    assert [call.request.name for call in cluster.calls] == ["wiki.default"] * 2


def test_a_name_that_looks_like_a_uid_is_one(cluster: StandIn, resources: Resources) -> None:
    with pytest.raises(ApiError):
        resources.get(SESSION, "0192AAAA-aaaa-4aaa-8aaa-0123456789ab")
    assert cluster.calls[0].request == meta.GetOptions(uid="0192AAAA-aaaa-4aaa-8aaa-0123456789ab")


def test_all_pages_of_a_list(
    cluster: StandIn, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    for number in range(5):
        cluster.add(named(f"user-{number}"))
    names = [user.metadata.name for user in resources.list_all(USER)]
    assert names == [f"user-{number}" for number in range(5)]
    assert [call.request.common.page for call in cluster.calls] == [0, 1, 2]
    whole = resources.list_whole(USER, by_name=True, reverse=True)
    assert [user.metadata.name for user in whole.items] == names[::-1]
    assert whole.kind == "UserList"
    assert whole.list_response_meta == meta.ListResponseMeta(items_per_page=5, total_count=5)


def test_items_that_vanish_between_two_pages(
    cluster: StandIn, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 1)
    for name in ("ann", "bob"):
        cluster.add(named(name))
    users = resources.list_all(USER)
    assert next(users).metadata.name == "ann"
    cluster.objects.popitem()
    assert list(users) == []
    cluster.failures["ListUser"] = [RefusedError("NOT_FOUND", "no such thing")]
    with pytest.raises(ApiError, match="no such thing"):
        list(resources.list_all(USER))


def test_filters(cluster: StandIn, resources: Resources) -> None:
    for user in ("ann", "bob"):
        cluster.add(
            core.Session(
                metadata=meta.Metadata(name=f"{user}-1"),
                status=core.SessionStatus(user_ref=meta.ObjectReference(name=user)),
            )
        )
    cluster.objects["Session", "bob-1"].status.user_ref.name = "bob"
    cluster.objects["Session", "ann-1"].status.user_ref.name = "ann"
    found = resources.list_page(SESSION, Page(), user="bob")
    assert [session.metadata.name for session in found.items] == ["bob-1"]
    with pytest.raises(Invalid, match="users cannot be listed by namespace"):
        resources.list_page(USER, Page(), namespace="x")


def test_a_singleton_is_a_list_of_one(cluster: StandIn, resources: Resources) -> None:
    cluster.add(core.ClusterConfig(metadata=meta.Metadata(name="default")))
    config = KINDS["ClusterConfig"]
    assert resources.get(config, "default").metadata.name == "default"
    assert len(list(resources.list_all(config))) == 1


def test_what_the_api_offers(resources: Resources) -> None:
    assert resources.can(USER, "Create")
    assert not resources.can(SESSION, "Create")
    assert not resources.can(KINDS["Region"], "Delete")


def test_a_direction_comes_with_a_key() -> None:
    assert not Page().options().HasField("order_by")
    reverse = Page(reverse=True).options().order_by
    types = meta.CommonListOptionsOrderByType__
    assert (reverse.type, reverse.mode) == (
        types.CREATED_AT,
        meta.CommonListOptionsOrderByMode__.DESC,
    )
    assert Page(by_name=True).options().order_by.type == types.NAME


def test_a_change_is_made_from_what_was_read(cluster: StandIn, resources: Resources) -> None:
    bob = cluster.add(named("bob"))
    version = bob.metadata.resource_version
    cluster.failures["UpdateUser"] = [RefusedError(CHANGED)] * 9

    def adjust(message: core.User) -> None:
        message.spec.email += "x"

    assert resources.change(USER, "bob", adjust).spec.email == "x"
    updates = [call for call in cluster.calls if call.method == "UpdateUser"]
    assert [call.metadata.get(IF_VERSION) for call in updates] == [version] * 10
    assert [call.method for call in cluster.calls] == ["GetUser", "UpdateUser"] * 10


def test_a_change_that_others_always_come_before_ends(
    cluster: StandIn, resources: Resources
) -> None:
    cluster.add(named("bob"))
    cluster.failures["UpdateUser"] = [RefusedError(CHANGED)] * 99
    with pytest.raises(ApiError, match="User bob is being changed by others") as caught:
        resources.change(USER, "bob", lambda _: None)
    assert caught.value.code == CHANGED
    assert len(cluster.calls) == 20
    cluster.failures["UpdateUser"] = [RefusedError("INVALID_ARGUMENT", "no")]
    with pytest.raises(ApiError, match="no"):
        resources.change(USER, "bob", lambda _: None)
    assert len(cluster.calls) == 22
