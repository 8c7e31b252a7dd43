from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.controller.managed import Opened
from octelium.controller.view import View
from octelium.replica.committed import CommittedRevision
from octelium.replica.errors import FeedError
from octelium.schema.containers import MAX_OF_SERVICE
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from tests.replica.samples import (
    change,
    commit,
    contained,
    deletion,
    named,
    secret,
    service,
    snapshot,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

CLUSTER = feed.Change(kind="ClusterConfig", uid="cluster", name="default")


def of(message: Message, uid: str) -> feed.Change:
    message.metadata.uid = uid  # type: ignore[attr-defined]  # a resource
    return change(message, uid)


def loaded(*changes: feed.Change) -> View:
    view = View()
    view.apply(snapshot(1, CLUSTER, *changes))
    return view


def test_the_containers_of_all_services_are_wanted_with_their_secrets() -> None:
    web = contained("web.default", "env", "absent")
    web.spec.dynamic_config.configs.add(name="green").upstream.container.image = "example/green"
    view = loaded(
        *(of(web, "one"), of(contained("api.default"), "two")),
        *(change(secret("env", "value"), "s-1"), change(secret("other"), "s-2")),
    )
    assert (view.complete, view.cluster, view.revision) == (True, "cluster", 1)
    wants = view.wants()
    assert set(wants) == {("one", ""), ("one", "green"), ("two", "")}
    assert wants["one", ""].service == "web.default"
    assert wants["one", ""].secrets == {"env": Opened("s-1", "env", b"value")}
    assert wants["one", "green"].secrets == {}
    assert wants["one", "green"].container.image == "example/green"


def test_a_commit_changes_what_it_concerns_alone() -> None:
    services = [
        *(of(contained("a.default", "env"), "a"), of(contained("b.default", "env"), "b")),
        *(of(contained("c.default", "other"), "c"), of(contained("d.default"), "d")),
    ]
    view = loaded(*services, change(secret("env", "1"), "s-1"))
    assert view.take_changed() == {(uid, "") for uid in "abcd"}
    before = dict(view.wants())
    view.apply(commit(2, change(secret("env", "2"), "s-1")))
    assert view.take_changed() == {("a", ""), ("b", "")}
    assert view.wants()["a", ""].secrets["env"].data == b"2"
    assert all(view.wants()[uid, ""] is before[uid, ""] for uid in "cd")
    view.apply(commit(3, services[3], change(secret("other", "3"), "s-2")))
    assert view.take_changed() == {("c", "")}
    # One is replaced by another of its name, and a Service does without.
    view.apply(commit(4, deletion("Secret", "s-1"), change(secret("env", "4"), "s-3")))
    assert view.wants()["b", ""].secrets["env"] == Opened("s-3", "env", b"4")
    view.take_changed()
    view.apply(commit(5, of(contained("b.default"), "b"), deletion("Service", "a")))
    assert view.take_changed() == {("a", ""), ("b", "")}
    view.apply(commit(6, deletion("Secret", "s-3")))
    assert view.take_changed() == frozenset()
    view.apply(commit(7, change(secret("env", "5"), "s-4"), services[1]))
    view.apply(commit(8, change(secret("env", "6"), "s-5")))
    view.apply(commit(9, deletion("Secret", "s-4")))
    assert view.wants()["b", ""].secrets["env"] == Opened("s-5", "env", b"6")
    view.apply(commit(10, of(contained("b.default"), "b")))
    view.take_changed()
    view.apply(commit(11, deletion("Secret", "s-5")))
    assert view.take_changed() == frozenset()
    view.apply(snapshot(19, CLUSTER, services[3]))
    assert set(view.wants()) == {("d", "")}
    assert {("b", ""), ("c", "")} <= view.take_changed()


def test_the_containers_of_older_services_come_first() -> None:
    services = []
    for uid, seconds in (("aa", 30), ("bb", 10), ("cc", 20)):
        made = contained(f"{uid}.default")
        made.metadata.created_at.seconds = seconds
        services.append(of(made, uid))
    assert [uid for uid, _ in loaded(*services).wants()] == ["bb", "cc", "aa"]


def test_of_one_service_so_many_containers_are_taken_and_no_more() -> None:
    web = contained("web.default")
    for number in range(MAX_OF_SERVICE):
        config = web.spec.dynamic_config.configs.add(name=f"c{number}")
        config.upstream.container.image = "example/more"
    wants = loaded(of(web, "one")).wants()
    assert len(wants) == MAX_OF_SERVICE
    assert ("one", f"c{MAX_OF_SERVICE - 2}") in wants


def test_commits_change_what_is_wanted() -> None:
    view = loaded(of(contained("web.default", "env"), "one"))
    told: list[tuple[bool, bool]] = []
    view.listeners.append(lambda anew: told.append((anew, view.complete)))
    view.take_changed()
    view.apply(commit(2, change(secret("env", "value"), "s")))
    assert view.wants()["one", ""].secrets["env"].data == b"value"
    assert view.take_changed() == {("one", "")}
    view.apply(commit(3))
    assert told == [(False, True)]
    view.apply(commit(4, deletion("Secret", "s"), deletion("Service", "one")))
    assert view.wants() == {}
    assert view.take_changed() == {("one", "")}
    assert (view.revision, told) == (4, [(False, True)] * 2)


def test_it_is_incomplete_before_the_end_of_a_snapshot() -> None:
    view = View()
    told: list[tuple[bool, bool]] = []
    view.listeners.append(lambda anew: told.append((anew, view.complete)))
    assert (view.complete, view.loading) == (False, False)
    web, api = of(contained("web.default"), "one"), of(contained("api.default"), "two")
    view.apply(feed.Commit(revision=7, snapshot_begin=True, changes=[CLUSTER, web]))
    assert (view.complete, view.loading, view.wants()) == (False, True, {})
    view.apply(feed.Commit(revision=7, snapshot_end=True, changes=[api]))
    assert (view.complete, view.loading, view.revision) == (True, False, 7)
    assert set(view.wants()) == {("one", ""), ("two", "")}
    view.apply(feed.Commit(revision=9, snapshot_begin=True, changes=[CLUSTER]))
    assert (view.complete, set(view.wants())) == (False, {("one", ""), ("two", "")})
    view.abandon()
    assert (view.complete, view.loading) == (True, False)
    view.apply(snapshot(9, CLUSTER, api))
    assert set(view.wants()) == {("two", "")}
    begun, ended, given_up = (False, False), (True, True), (False, True)
    assert told == [begun, ended, begun, given_up, begun, ended]


def test_without_a_cluster_nothing_is_complete() -> None:
    view = View()
    view.apply(snapshot(1))
    assert (view.complete, view.cluster) == (False, "")
    view.apply(commit(2, CLUSTER))
    assert (view.complete, view.cluster) == (True, "cluster")
    view.apply(commit(3, deletion("ClusterConfig", "cluster")))
    assert (view.complete, view.cluster) == (False, "")


@pytest.mark.parametrize(
    "bad",
    [
        commit(3),
        commit(2, change(core.User(metadata=named("someone")), "u")),
        commit(2, feed.Change(kind="Service", uid="x", name="x", data=b"\xff")),
        commit(2, feed.Change(kind="Secret", uid="x", name="x", data=b"\xff")),
    ],
)
def test_what_cannot_be_followed_changes_nothing(bad: feed.Commit) -> None:
    view = loaded(of(contained("web.default"), "one"))
    before = dict(view.wants())
    with pytest.raises(FeedError):
        view.apply(bad)
    assert (view.wants(), view.revision, view.complete) == (before, 1, True)


def test_a_snapshot_that_cannot_be_read_leaves_everything(caplog: pytest.LogCaptureFixture) -> None:
    view = loaded(of(contained("web.default"), "one"))
    before = dict(view.wants())
    broken = feed.Change(kind="Service", uid="x", name="x", data=b"\xff")
    with pytest.raises(FeedError):
        view.apply(snapshot(5, CLUSTER, broken))
    view.abandon()
    assert (view.wants(), view.revision) == (before, 1)

    def failing(_anew: bool) -> None:
        raise RuntimeError("of no use")

    view.listeners.append(failing)
    view.apply(snapshot(5, CLUSTER, of(service("api.default"), "two")))
    assert view.wants() == {}
    assert "a listener failed at revision 5" in caplog.text


def test_it_tells_whether_something_was_committed_since() -> None:
    committed = CommittedRevision.create()
    view = loaded()
    assert not view.behind(committed)
    committed.value = 2
    assert view.behind(committed)
    committed.close()
