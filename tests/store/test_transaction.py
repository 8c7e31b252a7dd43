from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import AlreadyExists, InvalidArgument, NotFound, ResourceChanged
from octelium.store.metadata import Actor
from tests.store.samples import START, group, named, put, secret, session

if TYPE_CHECKING:
    from octelium.store.resources import Resources
    from tests.store.samples import Clock

ALICE = Actor(
    meta.ObjectReference(api_version="core/v1", kind="Session", uid="s1", name="alice-abcdef"),
    "octelium.api.main.core.v1.MainService/UpdateGroup",
)


def described(message: core.Group, description: str) -> core.Group:
    message.metadata.description = description
    return message


async def test_a_created_resource_is_returned_as_it_is_stored(
    resources: Resources, clock: Clock
) -> None:
    given = group("staff")
    async with resources.transaction(ALICE) as tx:
        created = tx.create(given)
        assert resources.find(core.Group, name="staff") is None
    assert created == resources.get(core.Group, name="staff")
    assert given == group("staff")
    assert uuid.UUID(created.metadata.uid).version == 4
    assert uuid.UUID(created.metadata.resource_version).version == 7
    assert created.metadata.created_at.seconds == clock.now
    assert created.metadata.actor_ref.name == "alice-abcdef"
    assert created.HasField("spec")
    assert created.HasField("status")


async def test_a_taken_name_is_refused(resources: Resources) -> None:
    await put(resources, group("staff"))
    async with resources.transaction() as tx:
        with pytest.raises(AlreadyExists, match=r"core\.v1\.Group staff already exists"):
            tx.create(group("staff"))
        tx.create(group("other"))
        with pytest.raises(AlreadyExists):
            tx.create(group("other"))
    assert resources.count("Group") == 2


@pytest.mark.parametrize(
    "name", ["", "a", "Upper", "-a", "a-", "a..b", "a.", "a b", "x" * 141, ".".join(["ab"] * 8)]
)
async def test_a_name_that_no_store_keeps_is_refused(resources: Resources, name: str) -> None:
    async with resources.transaction() as tx:
        with pytest.raises(InvalidArgument, match="no valid name"):
            tx.create(group(name))
    assert resources.revision == 0


async def test_system_names_are_kept(resources: Resources) -> None:
    await put(resources, secret("sys:root-secret-abcdefgh", "x"))
    assert resources.get(core.Secret, name="sys:root-secret-abcdefgh").data.value == "x"


async def test_an_update_moves_the_versions_on(resources: Resources, clock: Clock) -> None:
    await put(resources, group("staff"))
    before = resources.get(core.Group, name="staff")
    clock.now += 60
    async with resources.transaction(ALICE) as tx:
        after = tx.update(described(tx.get(core.Group, name="staff"), "new"))
    assert after == resources.get(core.Group, name="staff")
    assert after.metadata.description == "new"
    assert after.metadata.resource_version > before.metadata.resource_version
    assert after.metadata.last_resource_version == before.metadata.resource_version
    assert after.metadata.created_at == before.metadata.created_at
    assert after.metadata.updated_at.seconds == START + 60
    assert after.metadata.actor_operation == ALICE.operation
    assert not before.metadata.HasField("updated_at")


async def test_an_update_from_an_old_version_is_refused(resources: Resources) -> None:
    await put(resources, group("staff"))
    old = resources.get(core.Group, name="staff")
    async with resources.transaction() as tx:
        tx.update(described(tx.get(core.Group, name="staff"), "first"))
    async with resources.transaction() as tx:
        with pytest.raises(ResourceChanged, match="staff has changed"):
            tx.update(described(old, "second"))
    assert resources.get(core.Group, name="staff").metadata.description == "first"


async def test_an_equal_update_writes_nothing(resources: Resources) -> None:
    await put(resources, group("staff"))
    await put(resources, secret("key", "hunter2"))
    await put(resources, session("root-x", authentications=2))
    revision, seen = resources.revision, list[object]()
    resources.subscribe(seen.append)
    async with resources.transaction(ALICE) as tx:
        for kind, name in (("Group", "staff"), ("Secret", "key"), ("Session", "root-x")):
            stored = tx.get(kind, name=name)
            forged = tx.get(kind, name=name)
            forged.metadata.actor_operation = "forged"
            forged.metadata.created_at.seconds = 1
            forged.ClearField("status") if kind == "Group" else None
            assert tx.update(forged) == stored
        assert not tx.changed
    assert tx.revision == resources.revision == revision
    assert seen == []


async def test_a_name_cannot_change(resources: Resources) -> None:
    await put(resources, group("staff"))
    async with resources.transaction() as tx:
        message = tx.get(core.Group, name="staff")
        message.metadata.name = "other"
        with pytest.raises(InvalidArgument, match="cannot change"):
            tx.update(message)


async def test_what_is_missing_can_be_neither_updated_nor_deleted(resources: Resources) -> None:
    async with resources.transaction() as tx:
        with pytest.raises(NotFound, match="ghost"):
            tx.update(group("ghost"))
        with pytest.raises(NotFound, match="no-uid"):
            tx.delete("Group", "no-uid")


async def test_a_deleted_resource_is_returned_with_its_last_version(
    resources: Resources, clock: Clock
) -> None:
    uid = await put(resources, group("staff"))
    before = resources.get(core.Group, uid=uid)
    clock.now += 1
    async with resources.transaction(ALICE) as tx:
        last = tx.delete(core.Group, uid)
        assert tx.find(core.Group, uid=uid) is None
        assert tx.find(core.Group, name="staff") is None
    assert last.metadata.last_resource_version == before.metadata.resource_version
    assert last.metadata.actor_operation == ALICE.operation
    assert resources.find(core.Group, name="staff") is None
    [gone, _] = await resources.history("Group", uid)
    assert gone.deleted
    assert gone.message == last


async def test_reads_see_what_the_transaction_wrote(resources: Resources) -> None:
    for name in ("aa", "bb", "cc"):
        await put(resources, session(name, user="u1"))
    async with resources.transaction() as tx:
        moved = tx.get(core.Session, name="bb")
        moved.status.user_ref.uid = "u2"
        tx.update(moved)
        tx.delete("Session", tx.get(core.Session, name="cc").metadata.uid)
        tx.create(session("dd", user="u1"))

        def names(**by: str) -> list[str]:
            found = tx.list(core.Session, by={f"status.{key}": value for key, value in by.items()})
            return [one.metadata.name for one in found]

        assert names() == ["aa", "bb", "dd"]
        assert names(userRef="u1") == ["aa", "dd"]
        assert names(userRef="u2") == ["bb"]
        assert tx.count(core.Session) == 3
        assert [one.metadata.name for one in tx.page(core.Session).items] == ["aa", "bb", "dd"]
        assert resources.count(core.Session, by={"status.userRef": "u1"}) == 3
    assert [one.metadata.name for one in resources.list(core.Session)] == ["aa", "bb", "dd"]


async def test_changes_of_one_resource_in_one_transaction_are_one_version(
    resources: Resources,
) -> None:
    async with resources.transaction() as tx:
        message = tx.create(group("staff"))
        message = tx.update(described(message, "one"))
        message = tx.update(described(message, "two"))
    assert message.metadata.last_resource_version == ""
    assert not message.metadata.HasField("updated_at")
    async with resources.transaction() as tx:
        first = tx.update(described(tx.get(core.Group, name="staff"), "three"))
        last = tx.update(described(first, "four"))
        with pytest.raises(ResourceChanged):
            tx.update(described(first, "five"))
    assert last.metadata.last_resource_version == message.metadata.resource_version
    assert len(await resources.history("Group", last.metadata.uid)) == 2


async def test_what_is_created_and_deleted_at_once_leaves_no_trace(resources: Resources) -> None:
    async with resources.transaction() as tx:
        message = tx.create(secret("key", "hunter2"))
        tx.delete("Secret", message.metadata.uid)
        assert not tx.changed
    assert resources.revision == 0


async def test_a_name_can_be_taken_over_in_one_transaction(resources: Resources) -> None:
    old = await put(resources, secret("key", "old"))
    async with resources.transaction() as tx:
        tx.delete("Secret", old)
        new = tx.create(secret("key", "new")).metadata.uid
    assert old != new
    assert resources.get(core.Secret, name="key").data.value == "new"
    assert resources.find(core.Secret, uid=old) is None


async def test_an_update_then_a_deletion_is_a_deletion(resources: Resources) -> None:
    uid = await put(resources, group("staff"))
    async with resources.transaction() as tx:
        tx.update(described(tx.get(core.Group, uid=uid), "last words"))
        tx.delete("Group", uid)
    [gone, _] = await resources.history("Group", uid)
    assert (gone.deleted, gone.message.metadata.description) == (True, "last words")
    assert resources.count("Group") == 0


async def test_discarding_commits_nothing(resources: Resources) -> None:
    uid = await put(resources, group("staff"))
    async with resources.transaction() as tx:
        tx.create(group("other"))
        tx.delete("Group", uid)
        tx.discard()
        assert tx.get(core.Group, uid=uid).metadata.name == "staff"
        assert tx.find(core.Group, name="other") is None
    assert resources.revision == 1


async def test_nothing_can_be_changed_after_the_end(resources: Resources) -> None:
    uid = await put(resources, group("staff"))
    async with resources.transaction() as tx:
        stored = tx.get(core.Group, uid=uid)
    for late in (
        lambda: tx.create(group("late")),
        lambda: tx.update(described(stored, "late")),
        lambda: tx.delete("Group", uid),
    ):
        with pytest.raises(RuntimeError, match="has ended"):
            late()
    assert tx.get(core.Group, uid=uid).metadata.description == ""


async def test_a_part_that_is_not_carried_stays(resources: Resources) -> None:
    await put(resources, secret("key", "hunter2"))
    await put(resources, session("root-x", authentications=2))
    bare = resources.list(core.Secret)[0]
    bare.metadata.description = "changed"
    light = resources.list(core.Session)[0]
    light.status.is_locked = True
    async with resources.transaction() as tx:
        assert tx.update(bare).data.value == "hunter2"
        assert len(tx.update(light).status.last_authentications) == 2
    assert resources.get(core.Secret, name="key").data.value == "hunter2"
    assert resources.get(core.Session, name="root-x").status.is_locked
    assert len(resources.get(core.Session, name="root-x").status.last_authentications) == 2


async def test_new_data_alone_is_a_new_version(resources: Resources) -> None:
    uid = await put(resources, secret("key", "old"))
    message = resources.get(core.Secret, uid=uid)
    message.data.value = "new"
    async with resources.transaction() as tx:
        changed = tx.update(message)
    assert changed.metadata.last_resource_version == message.metadata.resource_version
    assert resources.get(core.Secret, uid=uid).data.value == "new"


async def test_several_kinds_change_together(resources: Resources) -> None:
    async with resources.transaction() as tx:
        namespace = tx.create(core.Namespace(metadata=named("default")))
        service = core.Service(metadata=named("wiki.default"))
        service.status.namespace_ref.uid = namespace.metadata.uid
        tx.create(service)
        tx.create(secret("key", "x"))
    assert tx.revision == resources.revision == 1
    found = resources.list(core.Service, by={"status.namespaceRef": namespace.metadata.uid})
    assert [one.metadata.name for one in found] == ["wiki.default"]
