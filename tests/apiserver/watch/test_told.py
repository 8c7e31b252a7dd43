from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.apiserver.watch.told import recall, response, tell
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.metadata import set_time
from tests.apiserver.harness import resource

if TYPE_CHECKING:
    from octelium.store.resources import Committed
    from tests.apiserver.harness import Harness

TYPES = ext.ChangeType__


async def commits(api: Harness) -> list[Committed]:
    """A Group that is created, changed and deleted beside another, as it happens."""
    found: list[Committed] = []
    end = api.resources.subscribe(found.append)
    [ops, _] = await api.store(resource("Group", "ops"), resource("Group", "dev"))
    ops.spec.attrs["a"] = 1
    async with api.resources.transaction() as tx:
        tx.update(ops)
    async with api.resources.transaction() as tx:
        tx.delete("Group", ops.metadata.uid)
        tx.create(resource("Group", "late"))
    end()
    return found


async def test_any_changes_joined_are_a_response(api: Harness) -> None:
    told = [change for commit in await commits(api) for change in tell(commit)]
    parsed = ext.WatchResponse.FromString(response([told[3], told[0]], 7))
    assert [change.type for change in parsed.changes] == [told[3]._type, TYPES.ADDED]
    assert parsed.revision == 7
    assert ext.WatchResponse.FromString(response([], 7)) == ext.WatchResponse(revision=7)
    assert ext.WatchResponse.FromString(response(told)).revision == 0


async def test_a_change_is_encoded_once(api: Harness) -> None:
    for commit in await commits(api):
        for told in tell(commit):
            assert told.data is told.data
            assert told.data in response([told])


async def test_what_is_recalled_is_what_was_told(api: Harness) -> None:
    before = api.resources.revision
    live = [change for commit in await commits(api) for change in tell(commit)]
    past = [*recall(await api.resources.commits(before))]
    assert [change.data for change in past] == [change.data for change in live]
    assert [change.ends for change in past] == [change.ends for change in live]
    assert [change.ends for change in live] == [False, True, True, False, True]
    types = [ext.WatchResponse.FromString(change.data).changes[0].type for change in live]
    assert types == [TYPES.ADDED, TYPES.ADDED, TYPES.MODIFIED, TYPES.DELETED, TYPES.ADDED]


async def test_what_only_parts_change_is_not_told(api: Harness) -> None:
    found: list[Committed] = []
    api.resources.subscribe(found.append)
    session = api.resources.get(core.Session, uid=api.session.metadata.uid)
    set_time(session.status.last_authentications.add().set_at, 1.0)
    async with api.resources.transaction() as tx:
        tx.update(session)
    for commit in found:
        for told in tell(commit):
            if told.is_listed:
                [change] = ext.WatchResponse.FromString(told.data).changes
                assert not change.session.status.last_authentications


async def test_a_commit_of_nothing_that_is_listed_has_an_end(api: Harness) -> None:
    hidden = resource("Secret", "sys:key")
    hidden.metadata.is_system_hidden = True
    found: list[Committed] = []
    api.resources.subscribe(found.append)
    await api.store(hidden)
    [told] = tell(found[0])
    assert told.ends
    assert not told.is_listed
    assert told.revision == api.resources.revision
