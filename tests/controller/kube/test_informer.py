"""An informer knows what there is, whatever becomes of its watches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.kube import informer as module
from octelium.controller.kube.api import Listing
from octelium.controller.kube.errors import BusyError, ExpiredError, KubeError, RefusedError
from octelium.controller.kube.informer import Informer
from octelium.controller.kube.kinds import POD
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from octelium.controller.kube.kinds import Kind

Object = dict[str, Any]


def pod(name: str, version: int, group: str | None = "g", **more: Any) -> Object:
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), **more}
    return {"metadata": meta, "group": group}


class Server:
    """Objects with versions; a watch tells what has happened since its version, then waits."""

    def __init__(self) -> None:
        self.version = 10
        self.objects: dict[str, Object] = {}
        self.log: list[tuple[int, str, Object]] = []
        self.oldest = 0
        self.lists = 0
        self.watches: list[str] = []
        self.faults: list[KubeError] = []
        self.more = asyncio.Event()
        self.ends = 0

    def set(self, name: str, group: str | None = "g") -> Object:
        self.version += 1
        value = pod(name, self.version, group)
        what = "MODIFIED" if name in self.objects else "ADDED"
        self.objects[name] = value
        self._tell(what, value)
        return value

    def remove(self, name: str) -> None:
        self.version += 1
        value = pod(name, self.version)
        del self.objects[name]
        self._tell("DELETED", value)

    def bookmark(self) -> None:
        self.version += 1
        self._tell("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def end(self) -> None:
        self.ends += 1
        self.more.set()

    def _tell(self, what: str, value: Object) -> None:
        self.log.append((self.version, what, value))
        self.more.set()

    async def list(self, kind: Kind, selector: str = "") -> Listing:
        assert (kind, selector) == (POD, "x=y")
        if self.faults:
            raise self.faults.pop(0)
        self.lists += 1
        return Listing(tuple(self.objects.values()), str(self.version))

    async def watch(
        self, kind: Kind, selector: str, version: str, *, seconds: int, silence: float
    ) -> AsyncGenerator[tuple[str, Object]]:
        assert (kind, selector) == (POD, "x=y")
        assert silence > 60
        assert seconds > 0
        self.watches.append(version)
        if self.faults:
            raise self.faults.pop(0)
        last, ends = int(version), self.ends
        if last < self.oldest:
            raise ExpiredError("too old", 410)
        yield "OPEN", {}
        while ends == self.ends:
            self.more.clear()
            for number, what, value in self.log:
                if number > last:
                    last = number
                    yield what, value
            if self.faults:
                raise self.faults.pop(0)
            await self.more.wait()


class World:
    """A server, an informer that runs, and what it was heard to say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        if monkeypatch is not None:
            monkeypatch.setattr(module, "SHORTEST", 0.001)
            monkeypatch.setattr(module, "REFUSED", 0.001)
        self.server = Server()
        self.heard: list[object] = []
        self.informer = Informer(
            self.server,
            POD,
            "x=y",
            group=lambda value: value["group"],
            heard=self.heard.append,
            trim=lambda value: {**value, "trimmed": True},
        )
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> World:  # noqa: PYI034  # nobody derives from it
        self.task = spawn(self.informer.run(), name="informer")
        await self.until(lambda: self.informer.synced)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait([self.task])

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.001)

    async def agrees(self) -> None:
        def same() -> bool:
            wanted = {
                name: one["metadata"]["resourceVersion"]
                for name, one in self.server.objects.items()
                if one["group"] is not None
            }
            return wanted == {
                name: one["metadata"]["resourceVersion"]
                for name, (_, one) in self.informer.objects.items()
            }

        await self.until(same)


async def test_it_lists_and_then_hears() -> None:
    world = World()
    world.server.set("a")
    async with world:
        assert world.heard == ["g"]
        world.server.set("b", "h")
        world.server.set("a")
        await world.agrees()
        world.server.remove("a")
        await world.agrees()
        assert world.heard == ["g", "h", "g", "g"]
        assert list(world.informer.of("h")) == ["b"]
        assert world.informer.of("g") == {}
        assert world.informer.groups == ("h",)
        assert world.informer.of("h")["b"]["trimmed"]
        assert world.server.lists == 1


async def test_an_object_may_change_its_group_or_belong_to_none() -> None:
    async with World() as world:
        world.server.set("a")
        world.server.set("none", None)
        await world.agrees()
        world.server.set("a", "h")
        await world.agrees()
        groups = [world.informer.groups]
        world.server.set("a", None)
        await world.agrees()
        assert [*groups, world.informer.groups] == [("h",), ()]
        assert world.heard == ["g", "g", "h", "h"]


async def test_a_watch_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    async with World(monkeypatch) as world:
        world.server.set("a")
        world.server.bookmark()
        last = world.server.version
        await world.until(lambda: world.informer._version == str(last))
        world.server.end()
        await world.until(lambda: len(world.server.watches) == 2)
        assert world.server.watches == ["10", str(last)]
        world.server.faults.append(BusyError("reset by peer"))
        world.server.set("b")
        await world.until(lambda: len(world.server.watches) == 3)
        await world.agrees()
        assert world.server.lists == 1


async def test_what_happened_while_the_server_was_away_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with World(monkeypatch) as world:
        recovered: list[bool] = []
        world.informer.recovered.append(lambda: recovered.append(True))
        world.server.set("a")
        await world.agrees()
        world.server.faults += [BusyError("away")] * 3
        world.server.end()
        await world.until(lambda: world.informer.trouble is not None)
        world.server.remove("a")
        world.server.set("b")
        await world.agrees()
        await world.until(lambda: world.informer.trouble is None)
        world.server.faults.append(BusyError("away"))
        world.server.end()
        await world.until(lambda: len(recovered) == 2)
        assert world.informer.trouble is None
        assert world.server.lists == 1


async def test_a_version_that_is_too_old_means_a_new_list(monkeypatch: pytest.MonkeyPatch) -> None:
    async with World(monkeypatch) as world:
        world.server.set("a")
        world.server.set("b")
        await world.agrees()
        world.server.log.clear()
        world.server.oldest = world.server.version + 1
        world.server.remove("a")
        world.server.log.clear()
        world.server.end()
        await world.agrees()
        assert world.server.lists >= 2
        assert list(world.informer.objects) == ["b"]


async def test_a_list_that_is_refused_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.server.faults.append(RefusedError("pods is forbidden", 403))
    world.server.set("a")
    async with world:
        assert list(world.informer.objects) == ["a"]


async def test_everything_is_listed_again_at_times(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.informer._resync = 0.0
    async with world:
        world.server.objects["missed"] = pod("missed", 5)
        await world.until(lambda: "missed" in world.informer.objects)
        assert world.server.watches == []


async def test_an_answer_counts_at_once_but_not_against_something_newer() -> None:
    async with World() as world:
        world.server.set("a")
        await world.agrees()
        version = world.server.version
        world.informer.put(pod("a", version + 5))
        world.informer.put(pod("new", version + 6))
        assert set(world.informer.objects) == {"a", "new"}
        world.informer.put(pod("a", version - 1))
        assert world.informer.of("g")["a"]["metadata"]["resourceVersion"] == str(version + 5)
        # What is gone does not come back by an answer that took its time.
        world.informer.put(pod("gone", version - 1))
        assert "gone" not in world.informer.objects


async def test_what_was_deleted_counts_as_going_until_more_is_heard() -> None:
    async with World() as world:
        world.server.set("a")
        await world.agrees()
        world.informer.going("a")
        world.informer.going("nobody")
        assert world.informer.of("g")["a"]["metadata"]["deletionTimestamp"] == "sent"
        world.server.remove("a")
        await world.agrees()


async def test_a_late_end_of_an_earlier_object_does_not_take_the_new_one() -> None:
    async with World() as world:
        world.server.set("a")
        await world.agrees()
        version = world.server.version
        world.informer.put(pod("a", version + 10, uid="other"))
        world.server.remove("a")
        world.server.bookmark()
        await world.until(lambda: world.informer._version == str(world.server.version))
        assert world.informer.of("g")["a"]["metadata"]["uid"] == "other"


@given(st.lists(st.tuples(st.sampled_from("sssrbexf"), st.integers(0, 3)), max_size=25))
async def test_it_agrees_in_the_end(steps: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("octelium.controller.kube.informer.Backoff.next", lambda *_: 0.0)
        async with World(patch) as world:
            for step, number in steps:
                name = f"pod-{number}"
                if step == "s":
                    world.server.set(name, (None, "g", "h")[world.server.version % 3])
                elif step == "r" and name in world.server.objects:
                    world.server.remove(name)
                elif step == "b":
                    world.server.bookmark()
                elif step == "e":
                    world.server.end()
                elif step == "x":
                    world.server.log.clear()
                    world.server.oldest = world.server.version
                    world.server.end()
                elif step == "f":
                    world.server.faults.append(BusyError("by the test"))
                    world.server.more.set()
                if number:
                    await asyncio.sleep(0)
            await world.agrees()
            groups = {one["group"] for one in world.server.objects.values()} - {None}
            assert set(world.informer.groups) == groups
