from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.ext import DESCRIPTOR
from octelium.apiserver.rpc import ApiError, Call
from octelium.apiserver.watch import watcher
from octelium.apiserver.watch.feed import Feed
from octelium.apiserver.watch.watcher import PERIOD, WatchService
from octelium.http.tasks import spawn
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import Compacted
from octelium.store.resources import Committed, Resources
from octelium.store.retention import Retention
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from tests.apiserver.harness import codes, resource
from tests.apiserver.watch.agreement import Model
from tests.conftest import SOAK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.apiserver.harness import Harness

ADDED, MODIFIED, DELETED = 1, 2, 3


class Stream:
    """What one watch receives."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.changes: list[ext.WatchedChange] = []
        self.revision = 0
        self.is_live = False
        """Whether it has come to the present."""

    async def until(self, revision: int) -> list[ext.WatchedChange]:
        """Everything new up to a revision."""
        before = len(self.changes)
        async with asyncio.timeout(PERIOD / 2):
            while self.revision < revision:
                await self.read()
        return self.changes[before:]

    async def read(self) -> ext.WatchResponse:
        response: Any = await self.call.read()
        assert isinstance(response, ext.WatchResponse), "the stream ended"
        self.changes += response.changes
        self.is_live = self.is_live or not response.changes
        self.revision = response.revision or self.revision
        return response

    async def end(self) -> tuple[str, str]:
        """Status and text with which it ends."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self._read_all()
        return codes(caught.value)

    async def _read_all(self) -> None:
        async with asyncio.timeout(PERIOD / 2):
            while isinstance(await self.call.read(), ext.WatchResponse):
                pass


@asynccontextmanager
async def watching(
    api: Harness, *kinds: str, session: Any = None, **options: Any
) -> AsyncIterator[Stream]:
    call = api.channel.unary_stream(
        f"/{DESCRIPTOR.full_name}/Watch",
        request_serializer=ext.WatchRequest.SerializeToString,
        response_deserializer=ext.WatchResponse.FromString,
    )(ext.WatchRequest(kinds=kinds, **options), metadata=api.credentials(session))
    stream = Stream(call)
    try:
        yield stream
    finally:
        call.cancel()


def seen(changes: list[ext.WatchedChange]) -> list[tuple[int, str, str]]:
    return [(change.type, change.kind, _resource(change).metadata.name) for change in changes]


def _resource(change: ext.WatchedChange) -> Any:
    chosen = change.WhichOneof("resource")
    assert chosen is not None
    return getattr(change, chosen)


async def test_changes_come_as_they_are_made(api: Harness) -> None:
    async with watching(api, "Group", "User") as stream:
        await stream.until(api.resources.revision)
        assert stream.changes == []
        created = await api.core("CreateGroup", resource("Group", "ops"))
        updated = await api.core("UpdateGroup", resource("Group", "ops", spec={"attrs": {"a": 1}}))
        await api.core("CreatePolicy", resource("Policy", "unseen"))
        await api.core("DeleteGroup", meta.DeleteOptions(name="ops"))
        await api.core("CreateUser", resource("User", "ann", spec={"type": "HUMAN"}))
        changes = await stream.until(api.resources.revision)
        assert seen(changes) == [
            (ADDED, "Group", "ops"),
            (MODIFIED, "Group", "ops"),
            (DELETED, "Group", "ops"),
            (ADDED, "User", "ann"),
        ]
        assert [change.group for change in changes[:2]] == [created, updated]
        assert changes[2].uid == created.metadata.uid


def test_every_kind_that_can_be_listed_can_be_watched() -> None:
    fields = {
        field.message_type.name
        for field in ext.WatchedChange.DESCRIPTOR.oneofs_by_name["resource"].fields
        if field.message_type is not None
    }
    assert fields == set(all_rules())


async def test_every_kind_is_decided_as_its_list(api: Harness) -> None:
    kinds = [*all_rules()]
    async with watching(api, *kinds) as stream:
        await stream.until(api.resources.revision)
    wanted = {"GetClusterConfig"} | {f"List{kind}" for kind in kinds} - {"ListClusterConfig"}
    assert set(api.decided) == wanted
    for kind in kinds:
        api.denied = {"GetClusterConfig" if kind == "ClusterConfig" else f"List{kind}"}
        async with watching(api, *kinds) as stream:
            code, text = await stream.end()
        assert code == "PERMISSION_DENIED"
        assert text.endswith(f"the right to {next(iter(api.denied))}")


async def test_a_decision_that_fails_refuses(api: Harness) -> None:
    api.fails_to_decide = True
    async with watching(api, "Group") as stream:
        assert (await stream.end())[0] == "INTERNAL"


async def test_nobody_watches_without_a_session(api: Harness) -> None:
    call = api.channel.unary_stream(
        f"/{DESCRIPTOR.full_name}/Watch",
        request_serializer=ext.WatchRequest.SerializeToString,
        response_deserializer=ext.WatchResponse.FromString,
    )(ext.WatchRequest(kinds=["Group"]))
    assert (await Stream(call).end())[0] == "UNAUTHENTICATED"


async def test_data_of_secrets_stays_inside(api: Harness) -> None:
    async with watching(api, "Secret", "Config") as stream:
        await stream.until(api.resources.revision)
        secret = resource("Secret", "key", data={"value": "sesame"})
        await api.core("CreateSecret", secret)
        config = resource("Config", "file", data={"value": "sesame"})
        await api.core("CreateConfig", config)
        start = api.resources.revision
        secret.data.value = "open sesame"
        await api.core("UpdateSecret", secret)
        changes = await stream.until(start + 1)
        assert [change.type for change in changes] == [ADDED, ADDED, MODIFIED]
        listed = (await api.core("ListSecret", core.ListSecretOptions())).items
        assert changes[2].secret == listed[0]
        assert not any(b"sesame" in change.SerializeToString() for change in changes)
        await api.core("DeleteSecret", meta.DeleteOptions(name="key"))
        changes = await stream.until(api.resources.revision)
        assert seen(changes) == [(DELETED, "Secret", "key")]
        assert b"sesame" not in changes[0].SerializeToString()


async def test_what_is_hidden_from_lists_is_hidden_here(api: Harness) -> None:
    start = api.resources.revision
    async with watching(api, "Secret") as stream:
        await stream.until(start)
        hidden = resource("Secret", "sys:key")
        hidden.metadata.is_system = hidden.metadata.is_system_hidden = True
        [stored] = await api.store(hidden)
        async with api.resources.transaction() as tx:
            tx.delete("Secret", stored.metadata.uid)
        await api.store(resource("Secret", "shown"))
        changes = await stream.until(api.resources.revision)
        assert seen(changes) == [(ADDED, "Secret", "shown")]
    async with watching(api, "Secret", revision=start) as stream:
        changes = await stream.until(api.resources.revision)
        assert seen(changes) == [(ADDED, "Secret", "shown")]


async def test_internal_kinds_are_no_kinds(api: Harness) -> None:
    for kind in ("PolicyTrigger", "Invitation", "ContainerState", "Secret.data", "service", ""):
        async with watching(api, kind) as stream:
            assert (await stream.end())[0] == "INVALID_ARGUMENT"
    async with watching(api) as stream:
        assert await stream.end() == (
            "INVALID_ARGUMENT",
            "kinds: there is nothing to watch (name the kinds)",
        )


async def test_only_what_refers_to_something(api: Harness) -> None:
    [ann] = await api.store(resource("User", "ann", spec={"type": "HUMAN"}))
    start = api.resources.revision
    filters: dict[str, Any] = {"user_ref": meta.ObjectReference(name="ann")}
    async with watching(api, "Session", **filters) as stream:
        await stream.until(start)
        await api.store(api.new_session(api.root, "root-2"))
        await api.store(api.new_session(ann, "ann-1"))
        changes = await stream.until(api.resources.revision)
        assert seen(changes) == [(ADDED, "Session", "ann-1")]
    async with watching(api, "Session", revision=start, **filters) as stream:
        assert seen(await stream.until(api.resources.revision)) == [(ADDED, "Session", "ann-1")]
    async with watching(api, "Session", "Group", **filters) as stream:
        code, text = await stream.end()
        assert code == "INVALID_ARGUMENT"
        assert "groups cannot be listed by user" in text
    filters = {"user_ref": meta.ObjectReference(name="nobody")}
    async with watching(api, "Session", **filters) as stream:
        assert (await stream.end())[0] == "NOT_FOUND"


async def test_who_may_not_list_learns_no_names(api: Harness) -> None:
    api.denied = {"ListSession"}
    for name in ("root", "nobody"):
        reference = meta.ObjectReference(name=name)
        async with watching(api, "Session", user_ref=reference) as stream:
            assert (await stream.end())[0] == "PERMISSION_DENIED"


async def test_a_watch_goes_on_from_a_revision(api: Harness) -> None:
    await api.store(resource("Group", "old"))
    start = api.resources.revision
    await api.store(resource("Group", "ops"), resource("Group", "dev"))
    await api.core("UpdateGroup", resource("Group", "old", spec={"attrs": {"a": 1}}))
    await api.core("DeleteGroup", meta.DeleteOptions(name="ops"))
    expected = [
        (ADDED, "Group", "ops"),
        (ADDED, "Group", "dev"),
        (MODIFIED, "Group", "old"),
        (DELETED, "Group", "ops"),
    ]
    now = start + 3
    for begin, skipped in ((start, 0), (start + 1, 2), (start + 2, 3), (start + 3, 4)):
        async with watching(api, "Group", revision=begin) as stream:
            while stream.revision < now or not stream.is_live:
                await stream.read()
            assert seen(stream.changes) == expected[skipped:]
            now += 1
            await api.store(resource("Group", f"more-{now}"))
            expected.append((ADDED, "Group", f"more-{now}"))
            await stream.until(now)
            assert seen(stream.changes) == expected[skipped:]


async def test_lists_tell_from_where_to_go_on(api: Harness) -> None:
    call = api.channel.unary_unary(
        "/octelium.api.main.core.v1.MainService/ListGroup",
        request_serializer=core.ListGroupOptions.SerializeToString,
        response_deserializer=core.GroupList.FromString,
    )(core.ListGroupOptions(), metadata=api.credentials())
    await call
    told: Any = dict(await call.trailing_metadata())
    since = ext.WatchResponse.FromString(told["octelium-revision-bin"])
    assert since == ext.WatchResponse(revision=api.resources.revision)


async def test_revisions_that_are_not_known_are_listed_anew(api: Harness) -> None:
    async with watching(api, "Group", revision=api.resources.revision + 1) as stream:
        code, text = await stream.end()
        assert code == "OUT_OF_RANGE"
        assert "list anew" in text


async def test_who_loses_a_right_learns_it_at_once(api: Harness) -> None:
    async with watching(api, "Group", "User") as stream:
        await stream.until(api.resources.revision)
        api.denied = {"ListUser"}
        await api.store(resource("Policy", "strict"))
        assert (await stream.end())[0] == "PERMISSION_DENIED"


async def test_what_is_committed_with_the_loss_is_not_shown(api: Harness) -> None:
    async with watching(api, "Group", "User") as stream:
        await stream.until(api.resources.revision)
        await api.store(resource("User", "early", spec={"type": "HUMAN"}))
        await stream.until(api.resources.revision)
        api.denied = {"ListUser"}
        await api.store(resource("User", "late", spec={"type": "HUMAN"}))
        assert (await stream.end())[0] == "PERMISSION_DENIED"
        assert seen(stream.changes) == [(ADDED, "User", "early")]


async def test_a_session_that_is_gone_watches_no_more(api: Harness) -> None:
    [session] = await api.store(api.new_session(api.root, "root-2"))
    async with watching(api, "Group", session=session) as stream:
        await stream.until(api.resources.revision)
        async with api.resources.transaction() as tx:
            tx.delete("Session", session.metadata.uid)
        assert (await stream.end())[0] == "UNAUTHENTICATED"


async def test_a_session_has_so_many_watches(api: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "MOST_OF_SESSION", 2)
    monkeypatch.setattr(watcher, "MOST", 3)
    [other, third] = await api.store(
        api.new_session(api.root, "root-2"), api.new_session(api.root, "root-3")
    )
    revision = api.resources.revision
    async with watching(api, "Group") as one, watching(api, "Group") as two:
        await one.until(revision)
        await two.until(revision)
        async with watching(api, "Group") as stream:
            assert (await stream.end())[0] == "RESOURCE_EXHAUSTED"
        async with watching(api, "Group", session=other) as stream:
            await stream.until(revision)
            async with watching(api, "Group", session=third) as late:
                assert (await late.end())[0] == "RESOURCE_EXHAUSTED"


async def test_the_sessions_of_a_user_have_so_many_watches(
    api: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "MOST_OF_USER", 2)
    [ann] = await api.store(resource("User", "ann", spec={"type": "HUMAN"}))
    [second, anns] = await api.store(
        api.new_session(api.root, "root-2"), api.new_session(ann, "ann-1")
    )
    revision = api.resources.revision
    async with watching(api, "Group") as one, watching(api, "Group", session=second) as two:
        await one.until(revision)
        await two.until(revision)
        for session in (None, second):
            async with watching(api, "Group", session=session) as stream:
                assert (await stream.end())[0] == "RESOURCE_EXHAUSTED"
        async with watching(api, "Group", session=anns) as stream:
            await stream.until(revision)


async def test_who_may_not_watch_takes_no_place(api: Harness) -> None:
    """Nor one that others would need while it is decided."""
    service = direct(api)
    decided, gate = asyncio.Event(), asyncio.Event()
    authorize = service._authorize

    async def slow(*given: Any, **more: Any) -> Any:
        decided.set()
        await gate.wait()
        return await authorize(*given, **more)

    service._authorize = slow
    stream = service.watch(ext.WatchRequest(kinds=["Group"]), caller(api))

    async def ask() -> bytes:
        return await anext(stream)

    first = spawn(ask(), name="a watch")
    await decided.wait()
    assert service._open.total() == 0
    api.denied = {"ListGroup"}
    gate.set()
    with pytest.raises(ApiError, match="ListGroup"):
        await first
    api.denied = set()
    allowed = service.watch(ext.WatchRequest(kinds=["Group"]), caller(api))
    await anext(allowed)
    assert service._open.total() == service._open_of_user.total() == 1
    await allowed.aclose()
    assert (service._open, service._open_of_user) == ({}, {})


def direct(api: Harness, feed: Feed | None = None, period: float = 60.0) -> WatchService:
    """Watches without gRPC, read as slowly as a test likes."""
    return WatchService(api.resources, api._authorize, feed=feed, period=period)


def caller(api: Harness) -> Call:
    return Call("/octelium.ext.v1.MainService/Watch", session_uid=api.session.metadata.uid)


async def test_who_reads_too_slowly_lists_anew(api: Harness) -> None:
    feed = Feed(api.resources, changes=10)
    stream = direct(api, feed).watch(ext.WatchRequest(kinds=["Group"]), caller(api))
    await anext(stream)
    for number in range(30):
        await api.store(resource("Group", f"g{number}"))
        assert len(feed) <= 11
    with pytest.raises(Compacted, match="list anew"):
        await anext(stream)
    assert len(feed) == 0


async def test_the_places_of_those_who_left_are_free(api: Harness) -> None:
    feed = Feed(api.resources)
    service = direct(api, feed)
    for number in range(watcher.MOST_OF_SESSION + 1):
        stream = service.watch(ext.WatchRequest(kinds=["Group"]), caller(api))
        await anext(stream)
        await api.store(resource("Group", f"g{number}"))
        assert len(feed) == 1
        await stream.aclose()
        assert len(feed) == 0


async def test_rights_are_decided_again_in_time(api: Harness) -> None:
    stream = direct(api, period=0.02).watch(ext.WatchRequest(kinds=["Group"]), caller(api))
    await anext(stream)
    before = len(api.decided)
    await api.store(resource("Namespace", "unseen"))
    marked = ext.WatchResponse.FromString(await anext(stream))
    assert marked == ext.WatchResponse(revision=api.resources.revision)
    assert len(api.decided) > before
    api.denied = {"ListGroup"}
    with pytest.raises(ApiError, match="ListGroup"):
        await anext(stream)


async def test_large_commits_come_in_pieces(api: Harness) -> None:
    stream = direct(api).watch(ext.WatchRequest(kinds=["Group"]), caller(api))
    await anext(stream)
    filler = {"a": "x" * 19_000}
    await api.store(*[resource("Group", f"g{n}", spec={"attrs": filler}) for n in range(100)])
    pieces = [ext.WatchResponse.FromString(await anext(stream))]
    while not pieces[-1].revision:
        pieces.append(ext.WatchResponse.FromString(await anext(stream)))
    assert pieces[-1].revision == api.resources.revision
    assert sum(len(piece.changes) for piece in pieces) == 100
    assert max(piece.ByteSize() for piece in pieces) < 160_000
    await stream.aclose()


async def test_long_silence_is_told_of(api: Harness) -> None:
    stream = direct(api).watch(ext.WatchRequest(kinds=["Region"]), caller(api))
    await anext(stream)
    for number in range(300):
        await api.store(resource("Group", f"g{number}"))
    marked = ext.WatchResponse.FromString(await anext(stream))
    assert marked.revision == api.resources.revision
    await stream.aclose()


async def test_what_is_committed_while_the_past_is_told_comes_once(
    api: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = api.resources.revision
    for number in range(450):
        await api.store(resource("Group", f"g{number}"))
    commits = api.resources.commits

    async def meanwhile(after: int, limit: int = 200) -> list[Committed]:
        await api.store(resource("Group", f"late-{after}"))
        return await commits(after, limit)

    monkeypatch.setattr(api.resources, "commits", meanwhile)
    request = ext.WatchRequest(kinds=["Group"], revision=start)
    stream = direct(api).watch(request, caller(api))
    names: list[str] = []
    while "end" not in names:
        response = ext.WatchResponse.FromString(await anext(stream))
        names += [change.group.metadata.name for change in response.changes]
        if not response.changes:  # the past has been told
            await api.store(resource("Group", "end"))
    await stream.aclose()
    late = [f"late-{start + passed}" for passed in range(0, 450, 32)]
    assert names == [*(f"g{number}" for number in range(450)), *late, "end"]


NAMES = ("ann", "bob", "eve", "hidden")
KINDS_ = ("Group", "User", "Secret", "Policy")
STEPS = st.one_of(
    st.tuples(
        st.just("change"),
        st.lists(
            st.tuples(st.sampled_from(KINDS_), st.sampled_from(NAMES)),
            min_size=1,
            max_size=8,
            unique=True,
        ),
    ),
    st.tuples(st.just("read"), st.integers(0, 3), st.integers(1, 4)),
    st.tuples(st.just("break"), st.integers(0, 3)),
    st.tuples(st.just("compare")),
)


async def _change(resources: Resources, targets: list[tuple[str, str]], number: int) -> None:
    """Create what is not there, and change or delete the rest."""
    async with resources.transaction() as tx:
        for kind, name in targets:
            stored = tx.find(kind, name=name)
            if stored is None:
                message = resource(kind, name)
                message.metadata.is_system_hidden = kind == "Secret" and name == "hidden"
                tx.create(message)
            elif number % 3:
                stored.metadata.description = str(number)
                tx.update(stored)
            else:
                tx.delete(kind, stored.metadata.uid)


async def _agree(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteStore.open(Path(folder))
        retention = Retention(window=12, interval=4)
        resources = Resources(store, Vault([bytes(range(32))]), retention=retention)
        await resources.load()
        async with resources.transaction() as tx:
            session = tx.create(resource("Session", "root-1"))
            beacon = tx.create(resource("Region", "default"))

        async def authorize(call: Call, method: str) -> bool:
            return call.path.endswith("/Watch") and "List" in method

        async def sleep(_seconds: float) -> None:
            await asyncio.sleep(0)

        service = WatchService(resources, authorize, feed=Feed(resources, changes=40), sleep=sleep)
        uid = session.metadata.uid
        models = [
            Model(resources, service, uid, kinds)
            for kinds in (KINDS_, ("Group",), ("Secret", "User"), ())
        ]

        async def compare(number: int) -> None:
            async with resources.transaction() as tx:
                found = tx.get("Region", uid=beacon.metadata.uid)
                found.metadata.description = f"beacon {number}"
                tx.update(found)
            for model in models:
                await model.read(until=resources.revision)
                assert model.state == model.listed()

        for number, (what, *details) in enumerate(steps):
            match what:
                case "change":
                    await _change(resources, details[0], number)
                case "read":
                    model, responses = models[details[0]], details[1]
                    if model.revision < resources.revision:
                        await _read_some(model, responses)
                case "break":
                    await models[details[0]].close()
                case _:
                    await compare(number)
        await compare(-1)
        for model in models:
            await model.close()
        await resources.close()


async def _read_some(model: Model, responses: int) -> None:
    """A few responses; where there are no more, the stream is broken off."""
    try:
        async with asyncio.timeout(0.005):
            await model.read(responses=responses)
    except TimeoutError:
        await model.close()


@pytest.mark.parametrize("size", [150, 1 << 20])
@settings(max_examples=500 if SOAK else 40)
@given(steps=st.lists(STEPS, max_size=40))
def test_a_list_and_its_changes_are_the_list(size: int, steps: list[tuple[Any, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watcher, "_MOST_BYTES", size)
        patch.setattr(watcher, "_MOST_CHANGES", 3 if size < 1000 else 1000)
        asyncio.run(_agree(steps))
