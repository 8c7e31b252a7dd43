from __future__ import annotations

from octelium.client.lists import REVISION_TRAILER, Lists, _revision
from octelium.client.resources import Resources
from octelium.schema.kinds import KINDS
from tests.client.watched import Cluster


def lists(cluster: Cluster, *kinds: str) -> Lists:
    return Lists(Resources(cluster.api.core), [KINDS[kind] for kind in kinds], {})


def test_all_kinds_come_with_the_earliest_revision() -> None:
    cluster = Cluster()
    cluster.put("a")
    cluster.put("default", "ClusterConfig")
    cluster.put("u", "User")
    revision = cluster.revision
    cluster.before_page = lambda _number: setattr(cluster, "revision", cluster.revision + 1)
    taken = lists(cluster, "Group", "ClusterConfig", "User").take()
    assert [item.metadata.name for item in taken.items] == ["a", "default", "u"]
    assert (taken.revision, taken.latest) == (revision + 1, revision + 3)


def test_pages_are_read_again_if_something_was_added_or_deleted_between_them() -> None:
    cluster = Cluster()
    for name in "abcd":
        cluster.put(name)
    cluster.page = 2
    deleted: list[object] = []

    def before_page(number: int) -> None:
        if number == 1 and not deleted:
            deleted.append(cluster.delete("a"))

    cluster.before_page = before_page
    assert [item.metadata.name for item in lists(cluster, "Group").take().items] == ["b", "c", "d"]
    assert len(cluster.calls) == 4


def test_a_page_that_is_gone_is_no_failure() -> None:
    cluster = Cluster()
    for name in "abc":
        cluster.put(name)
    cluster.page = 2

    def before_page(number: int) -> None:
        if number == 1 and "c" in cluster.items:
            cluster.delete("c")

    cluster.before_page = before_page
    assert [item.metadata.name for item in lists(cluster, "Group").take().items] == ["a", "b"]


def test_a_cluster_may_tell_no_revision() -> None:
    cluster = Cluster()
    cluster.tells_revision = False
    assert lists(cluster, "Group").take().revision == 0
    assert _revision({REVISION_TRAILER: b"\xff\xff"}) == 0
