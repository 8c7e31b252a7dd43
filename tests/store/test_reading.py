from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import InvalidArgument, NotFound
from tests.peers.timing import calls
from tests.store.samples import group, named, put, secret, session

if TYPE_CHECKING:
    from octelium.store.resources import Resources


async def test_a_resource_is_found_by_name_or_uid_and_the_name_wins(resources: Resources) -> None:
    staff = await put(resources, group("staff"))
    ops = await put(resources, group("ops"))
    assert resources.get(core.Group, uid=ops).metadata.name == "ops"
    assert resources.get("Group", name="ops").metadata.uid == ops
    assert resources.get(core.Group, name="ops", uid=staff).metadata.uid == ops
    with pytest.raises(NotFound):
        resources.get(core.Group, name="nobody", uid=staff)


async def test_what_is_missing_is_named(resources: Resources) -> None:
    with pytest.raises(NotFound, match=r"^core\.v1\.Group nobody does not exist$"):
        resources.get("Group", name="nobody")
    with pytest.raises(NotFound, match=r"^core\.v1\.Group some-uid does not exist$"):
        resources.get("Group", uid="some-uid")
    assert resources.find("Group", name="nobody") is None
    assert resources.peek("Group", name="nobody") is None


async def test_a_look_up_without_name_and_uid_is_refused(resources: Resources) -> None:
    for read in (resources.get, resources.find, resources.peek):
        with pytest.raises(InvalidArgument, match="a name or a uid"):
            read("Group")


@pytest.mark.parametrize("kind", ["group", "Gadget", "", core.GroupList])
async def test_what_is_no_kind_is_refused(resources: Resources, kind: str) -> None:
    with pytest.raises(InvalidArgument, match="no kind"):
        resources.find(kind, name="x")
    with pytest.raises(InvalidArgument, match="no kind"):
        resources.list(kind)


async def test_what_is_returned_belongs_to_the_caller(resources: Resources) -> None:
    await put(resources, group("staff"))
    for message in (
        resources.get(core.Group, name="staff"),
        resources.list(core.Group)[0],
        resources.page(core.Group).items[0],
    ):
        message.metadata.description = "changed by the caller"
        assert resources.get(core.Group, name="staff").metadata.description == ""
    assert resources.peek(core.Group, name="staff") is resources.peek_all(core.Group)[0]


async def test_indexes_select_and_all_of_them_must_match(resources: Resources) -> None:
    for name, user, device in (("s1", "u1", "d1"), ("s2", "u1", "d2"), ("s3", "u2", "d1")):
        message = session(name, user=user)
        message.status.device_ref.uid = device
        await put(resources, message)

    def names(by: dict[str, str]) -> list[str]:
        return [found.metadata.name for found in resources.list(core.Session, by=by)]

    assert names({"status.userRef": "u1"}) == ["s1", "s2"]
    assert names({"status.userRef": "u1", "status.deviceRef": "d2"}) == ["s2"]
    assert names({"status.userRef": "u3"}) == []
    assert names({}) == ["s1", "s2", "s3"]
    assert resources.count(core.Session, by={"status.deviceRef": "d1"}) == 2
    assert resources.exists(core.Session, by=("status.deviceRef", "d1"))
    assert not resources.exists(core.Session, by=("status.deviceRef", "d9"))
    async with resources.transaction() as tx:
        for each in tx.peek_all(core.Session, by={"status.deviceRef": "d1"}):
            tx.delete("Session", each.metadata.uid)
        assert not tx.exists("Session", by=("status.deviceRef", "d1"))
        tx.discard()
    assert [
        s.metadata.name for s in resources.peek_all(core.Session, by={"status.userRef": "u2"})
    ] == ["s3"]


async def test_what_an_index_selects_comes_in_order_of_creation(resources: Resources) -> None:
    for number in range(5):
        await put(resources, session(f"s{number}", user="u2" if number == 3 else "u1"))
    async with resources.transaction() as tx:
        for name in ("s3", "s0"):
            message = tx.get(core.Session, name=name)
            message.status.user_ref.uid = "u1"
            message.status.is_locked = True
            tx.update(message)
    found = resources.list(core.Session, by={"status.userRef": "u1"})
    assert [one.metadata.name for one in found] == [f"s{number}" for number in range(5)]


async def test_a_function_selects_further(resources: Resources) -> None:
    for name in ("aa", "ab", "bb"):
        await put(resources, group(name))
    found = resources.list(core.Group, where=lambda one: one.metadata.name.startswith("a"))
    assert [one.metadata.name for one in found] == ["aa", "ab"]
    page = resources.page(
        core.Group,
        meta.CommonListOptions(items_per_page=1, page=1),
        where=lambda one: one.metadata.name.startswith("a"),
    )
    assert [one.metadata.name for one in page.items] == ["ab"]
    assert (page.total_count, page.has_more) == (2, False)


async def test_lists_come_without_what_is_stored_apart_unless_asked(resources: Resources) -> None:
    await put(resources, secret("key", "hunter2"))
    await put(resources, session("root-x", authentications=2))
    assert not resources.list(core.Secret)[0].HasField("data")
    assert not resources.page(core.Secret).items[0].HasField("data")
    shared = resources.peek(core.Secret, name="key")
    assert shared is not None
    assert not shared.HasField("data")
    assert resources.list(core.Secret, whole=True)[0].data.value == "hunter2"
    assert resources.page(core.Secret, whole=True).items[0].data.value == "hunter2"
    assert resources.get(core.Secret, name="key").data.value == "hunter2"
    assert len(resources.get(core.Session, name="root-x").status.last_authentications) == 2


async def test_a_page_carries_what_its_response_says_about_itself(resources: Resources) -> None:
    assert resources.page(core.Group).meta() == meta.ListResponseMeta(items_per_page=200)
    await put(resources, group("staff"))
    with pytest.raises(NotFound):
        resources.page(core.Group, meta.CommonListOptions(page=3))
    with pytest.raises(InvalidArgument):
        resources.page(core.Group, meta.CommonListOptions(page=10001))


async def test_to_list_a_thousand_services_costs_little_more_than_to_read_them(
    resources: Resources,
) -> None:
    async with resources.transaction() as tx:
        for number in range(1000):
            message = core.Service(metadata=named(f"s{number}.default"))
            message.spec.config.upstream.url = f"https://backend-{number}.example.com"
            message.spec.config.http.auth.bearer.from_secret = "some-secret"
            tx.create(message)

    def listed() -> bytes:
        page = resources.page(core.Service, meta.CommonListOptions(items_per_page=1000))
        return core.ServiceList(items=page.items).SerializeToString()

    records = [each.SerializeToString() for each in resources.list(core.Service)]

    def read() -> bytes:
        found = [core.Service.FromString(each) for each in records]
        return core.ServiceList(items=found).SerializeToString()

    assert len(records) == 1000
    assert listed() == read()
    assert calls(listed) < 3 * calls(read)
