from __future__ import annotations

import pytest

from octelium.gateway.view import View
from octelium.replica.errors import FeedError
from octelium.replica.gateway_key import GatewayKeys
from octelium.schema.pb import feed_v1_pb2 as feed
from tests.gateway.world import (
    KEYS,
    Writer,
    config,
    gateway,
    gone,
    key,
    key_secret,
    put,
    session,
    snapshot,
)


def heard(view: View) -> list[set[str]]:
    found: list[set[str]] = []
    view.listeners.append(lambda uids: found.append(set(uids)))
    return found


def test_a_snapshot_takes_effect_with_its_end() -> None:
    view = View()
    seen = heard(view)
    view.apply(feed.Commit(revision=5, changes=[put(config())], snapshot_begin=True))
    loading = [view.loading]
    assert (view.ranges, view.revision) == (None, 0)
    rest = [put(gateway()), put(key_secret()), put(session(1))]
    view.apply(feed.Commit(revision=5, changes=rest, snapshot_end=True))
    assert [*loading, view.loading] == [True, False]
    assert view.keys == KEYS
    assert view.peers["session-1"].public_key == key(1)
    assert seen == [{"session-1"}]


def test_another_snapshot_ends_who_is_not_in_it() -> None:
    writer = Writer()
    view = writer.begin(session(1), session(2))
    seen = heard(view)
    view.apply(snapshot(config(), gateway(), key_secret(), session(2), session(3), revision=9))
    assert set(view.peers) == {"session-2", "session-3"}
    assert seen == [{"session-1", "session-2", "session-3"}]


def test_the_beginning_of_a_snapshot_can_be_abandoned() -> None:
    view = Writer().begin(session(1))
    view.apply(feed.Commit(revision=9, snapshot_begin=True))
    view.abandon()
    assert not view.loading
    assert set(view.peers) == {"session-1"}


def test_commits_follow_each_other() -> None:
    writer = Writer()
    view = writer.begin(session(1))
    writer.commit(session(2), gone("Session", "session-1"))
    assert set(view.peers) == {"session-2"}
    with pytest.raises(FeedError, match="does not follow"):
        view.apply(feed.Commit(revision=9))
    assert view.revision == 2


@pytest.mark.parametrize(
    "change",
    [
        feed.Change(kind="User", uid="u"),
        feed.Change(kind="Session", uid="s", data=b"\xff\xff"),
    ],
)
def test_what_cannot_be_read_changes_nothing(change: feed.Change) -> None:
    writer = Writer()
    view = writer.begin(session(1))
    with pytest.raises(FeedError):
        view.apply(feed.Commit(revision=2, changes=[gone("Session", "session-1"), change]))
    assert (view.revision, set(view.peers)) == (1, {"session-1"})


def test_nobody_is_a_peer_before_there_is_a_network() -> None:
    view = View()
    view.apply(snapshot(session(1)))
    assert view.peers == {}
    view.apply(feed.Commit(revision=2, changes=[put(config())]))
    assert set(view.peers) == {"session-1"}
    view.apply(feed.Commit(revision=3, changes=[put(config(sessions="10.1.0.0/16"))]))
    assert view.peers == {}


def test_a_session_that_cannot_be_a_peer_is_none_and_the_others_are() -> None:
    writer = Writer()
    bad = session(1)
    bad.status.connection.addresses[0].v4 = "0.0.0.0/0"
    view = writer.begin(bad, session(2))
    assert set(view.peers) == {"session-2"}
    writer.commit(session(1))
    assert set(view.peers) == {"session-1", "session-2"}
    writer.commit(bad)
    assert set(view.peers) == {"session-2"}


def test_the_keys_are_those_of_the_gateway_and_change_with_its_secret() -> None:
    writer = Writer()
    view = writer.begin()
    rotated = GatewayKeys(b"n" * 32, ((b"g" * 32, 5.0),))
    writer.commit(key_secret(rotated))
    assert view.keys == rotated
    others = key_secret()
    for label in [*others.metadata.system_labels]:
        others.metadata.system_labels[label] = "another gateway"
    writer.commit(others)
    assert view.keys is None


def test_damaged_keys_are_none() -> None:
    writer = Writer()
    view = writer.begin()
    damaged = key_secret()
    damaged.data.value_bytes = b"{}"
    writer.commit(damaged)
    assert view.keys is None
