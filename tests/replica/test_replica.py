from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from octelium.replica.errors import FeedError
from octelium.replica.replica import ContainerEntry, Replica
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.store.parts import PARTS
from octelium.store.vault import Vault
from tests.replica.samples import (
    change,
    commit,
    container_state,
    deletion,
    named,
    secret,
    service,
    session,
    snapshot,
)

if TYPE_CHECKING:
    from octelium.replica.committed import CommittedRevision

KEY_UID = "9a0f5f0e-6f0e-4f57-a1b5-6b7c0f0e7a11"


def group(name: str, description: str = "") -> core.Group:
    message = core.Group(metadata=named(name))
    message.metadata.description = description
    return message


def key_change() -> tuple[feed.Change, object]:
    public = Ed25519PrivateKey.generate().public_key()
    data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return feed.Change(kind="VerificationKey", uid=KEY_UID, name="k", data=data), public


def loaded(*changes: feed.Change, revision: int = 1) -> Replica:
    replica = Replica()
    replica.apply(snapshot(revision, *changes))
    return replica


def test_resources_of_every_kind_are_indexed() -> None:
    key, public = key_change()
    trigger = core.PolicyTrigger(metadata=named("trigger"))
    config = core.ClusterConfig(metadata=named("default"))
    config.status.domain = "example.com"
    replica = loaded(
        change(core.Namespace(metadata=named("default")), "n"),
        change(core.Region(metadata=named("default")), "r"),
        change(service("wiki.default"), "s"),
        change(core.User(metadata=named("alice")), "u"),
        change(group("staff"), "g"),
        change(session("alice-x"), "se"),
        change(core.Device(metadata=named("linux-x")), "d"),
        change(core.Policy(metadata=named("a.b")), "p"),
        change(secret("key"), "x"),
        change(trigger, "t"),
        change(config, "c"),
        key,
    )
    assert replica.loaded
    assert replica.namespaces["n"] is replica.namespaces_by_name["default"]
    assert replica.regions["r"].name == "default"
    assert replica.services["s"] is replica.service_by_name["wiki.default"]
    assert replica.users["u"] is replica.users_by_name["alice"]
    assert replica.groups["g"] is replica.groups_by_name["staff"]
    assert replica.sessions["se"].name == "alice-x"
    assert replica.devices["d"].name == "linux-x"
    assert replica.policies["p"] is replica.policies_by_name["a.b"]
    assert replica.secrets["x"] is replica.secrets_by_name["key"]
    assert replica.cluster_config is not None
    assert replica.cluster_config.domain == "example.com"
    assert [one.source.uid for one in replica.triggers] == ["t"]
    assert replica.verification_keys == {uuid.UUID(KEY_UID).bytes: public}


def test_a_commit_replaces_entries_and_never_changes_one() -> None:
    replica = loaded(change(group("staff"), "g"), change(group("ops"), "o"))
    before, other = replica.groups["g"], replica.groups["o"]
    replica.apply(commit(2, change(group("staff", "new"), "g")))
    assert replica.revision == 2
    assert before.message.metadata.description == ""
    assert replica.groups["g"].message.metadata.description == "new"
    assert replica.groups["g"].version > before.version
    assert replica.groups_by_name["staff"] is replica.groups["g"]
    assert replica.groups["o"] is other


def test_dictionaries_stay_the_same_objects() -> None:
    replica = Replica()
    services, names, keys = replica.services, replica.service_by_name, replica.verification_keys
    key, _ = key_change()
    replica.apply(snapshot(1, change(service("wiki.default"), "s"), key))
    replica.apply(snapshot(2))
    replica.apply(commit(3, change(service("wiki.default"), "s"), key))
    assert replica.services is services
    assert replica.service_by_name is names
    assert replica.verification_keys is keys
    assert len(services) == len(names) == len(keys) == 1


def test_a_deletion_removes_every_index() -> None:
    key, _ = key_change()
    config = core.ClusterConfig(metadata=named("default"))
    config.spec.authorization.policies.append("deny-all")
    replica = loaded(change(group("staff"), "g"), change(config, "c"), key)
    assert [one.policies for one in replica.triggers] == [("deny-all",)]
    replica.apply(
        commit(
            2,
            deletion("Group", "g"),
            deletion("ClusterConfig", "c"),
            deletion("VerificationKey", KEY_UID),
            deletion("User", "never-known"),
        )
    )
    assert not replica.groups
    assert not replica.groups_by_name
    assert replica.cluster_config is None
    assert not list(replica.triggers)
    assert not replica.verification_keys


@pytest.mark.parametrize("deleted_first", [True, False])
def test_a_name_passes_to_another_resource(deleted_first: bool) -> None:
    replica = loaded(change(group("staff"), "old"))
    changes = [deletion("Group", "old"), change(group("staff"), "new")]
    replica.apply(commit(2, *(changes if deleted_first else reversed(changes))))
    assert replica.groups_by_name["staff"].uid == "new"
    assert list(replica.groups) == ["new"]


@pytest.mark.parametrize("revision", [0, 1, 3, 99])
def test_a_gap_is_refused_and_changes_nothing(revision: int) -> None:
    replica = loaded(change(group("staff"), "g"))
    with pytest.raises(FeedError, match=f"{revision} does not follow 1"):
        replica.apply(commit(revision, deletion("Group", "g")))
    assert replica.revision == 1
    assert "g" in replica.groups


@pytest.mark.parametrize(
    "bad",
    [
        feed.Change(kind="Group", uid="b", name="b", data=b"\xff\xff"),
        feed.Change(kind="Gadget", uid="b"),
        feed.Change(kind="VerificationKey", uid=KEY_UID, data=b"junk"),
        feed.Change(kind="VerificationKey", uid="no-uuid", data=b"junk"),
    ],
    ids=["bytes", "kind", "key", "uid"],
)
def test_a_commit_with_one_bad_change_changes_nothing(bad: feed.Change) -> None:
    replica = loaded(change(group("staff"), "g"))
    told: list[object] = []
    replica.listeners.append(told.append)
    with pytest.raises(FeedError):
        replica.apply(commit(2, change(group("staff", "new"), "g"), bad))
    assert replica.revision == 1
    assert replica.groups["g"].message.metadata.description == ""
    assert told == []


def test_a_snapshot_takes_effect_with_its_end_and_keeps_equal_entries() -> None:
    replica = loaded(change(group("same"), "s"), change(group("goes"), "g"))
    same, told = replica.groups["s"], list[object]()
    replica.listeners.append(told.append)
    replica.apply(
        feed.Commit(revision=9, snapshot_begin=True, changes=[change(group("same"), "s")])
    )
    assert (replica.loading, replica.revision) == (True, 1)
    assert "g" in replica.groups
    replica.apply(feed.Commit(revision=9, snapshot_end=True, changes=[change(group("comes"), "c")]))
    assert (replica.loading, replica.revision) == (False, 9)
    assert replica.groups["s"] is same
    assert set(replica.groups) == {"s", "c"}
    assert told == [frozenset({("Group", "g"), ("Group", "c")})]


def test_half_a_snapshot_is_forgotten() -> None:
    replica = loaded(change(group("staff"), "g"))
    replica.apply(feed.Commit(revision=9, snapshot_begin=True))
    replica.abandon()
    replica.apply(commit(2))
    assert (replica.revision, list(replica.groups)) == (2, ["g"])


def test_a_snapshot_may_lead_back_to_an_earlier_revision() -> None:
    replica = loaded(change(group("staff"), "g"), revision=50)
    replica.apply(snapshot(7))
    assert (replica.revision, replica.groups) == (7, {})


def test_listeners_are_told_what_changed_and_one_that_fails_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    replica = loaded()
    told: list[object] = []

    def fail(_: object) -> None:
        raise ValueError("broken listener")

    replica.listeners += [fail, told.append]
    replica.apply(commit(2))
    replica.apply(commit(3, change(group("staff"), "g"), deletion("User", "u")))
    assert told == [frozenset({("Group", "g"), ("User", "u")})]
    assert "broken listener" in caplog.text


def test_generations_grow_when_resources_come_or_go() -> None:
    replica = loaded(change(group("staff"), "g"))
    first = replica.generations["Group"]
    replica.apply(commit(2, change(group("staff", "new"), "g")))
    assert replica.generations["Group"] == first
    replica.apply(commit(3, change(group("ops"), "o")))
    second = replica.generations["Group"]
    replica.apply(commit(4, deletion("Group", "o")))
    assert first < second < replica.generations["Group"]
    assert replica.generations["User"] == 0


def past(count: int) -> bytes:
    message = session("root-x", authentications=count)
    plain = PARTS["Session"].take(message)
    assert plain is not None
    return PARTS["Session"].encode(Vault([b"k" * 32]), "s", plain)


def past_change(count: int) -> feed.Change:
    return feed.Change(kind="Session.past", uid="s", data=past(count))


def former(replica: Replica) -> int:
    return len(replica.sessions["s"].json.get("status", {}).get("lastAuthentications", []))


def test_the_past_of_a_session_stays_until_it_changes() -> None:
    bare = change(session("root-x"), "s")
    replica = loaded(past_change(2), bare)
    assert former(replica) == 2
    replica.apply(commit(2, bare))
    assert former(replica) == 2
    replica.apply(commit(3, past_change(3), bare))
    assert former(replica) == 3
    entry = replica.sessions["s"]
    replica.apply(snapshot(4, past_change(3), bare))
    assert replica.sessions["s"] is entry
    replica.apply(snapshot(5, past_change(1), bare))
    assert former(replica) == 1
    replica.apply(snapshot(6, bare))
    assert former(replica) == 0
    replica.apply(commit(7, deletion("Session", "s"), deletion("Session.past", "s")))
    assert not replica._past


def test_it_is_behind_what_is_committed(committed: CommittedRevision) -> None:
    replica = loaded(revision=3)
    for value, behind in ((0, False), (3, False), (4, True)):
        committed.value = value
        assert replica.behind(committed) is behind


CHANGES = st.lists(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.sampled_from(["x", "y"]))),
        max_size=3,
        unique_by=lambda one: one[0],
    ),
    max_size=8,
)


@given(CHANGES, st.integers(0, 7))
def test_commits_and_a_snapshot_at_any_point_lead_to_the_same(
    commits: list[list[tuple[str, str | None]]], snapshot_at: int
) -> None:
    followed, model = loaded(revision=0), dict[str, str]()
    jumped = loaded(revision=0)
    for revision, changes in enumerate(commits, start=1):
        message = commit(revision)
        for uid, text in changes:
            if text is None:
                model.pop(uid, None)
                message.changes.append(deletion("Group", uid))
            else:
                model[uid] = text
                message.changes.append(change(group(f"name-{uid}", text), uid))
        followed.apply(message)
        if revision == snapshot_at:
            whole = [change(group(f"name-{uid}", text), uid) for uid, text in model.items()]
            jumped.apply(snapshot(revision, *whole))
        else:
            jumped.apply(message)
        for replica in (followed, jumped):
            held = {uid: one.message.metadata.description for uid, one in replica.groups.items()}
            assert held == model
            assert {one.name for one in replica.groups_by_name.values()} == {
                f"name-{uid}" for uid in model
            }


def test_a_fork_goes_its_own_way() -> None:
    key, _ = key_change()
    replica = loaded(change(group("staff"), "g"), change(session("a-1"), "se"), key)
    told: list[object] = []
    replica.listeners.append(told.append)
    fork = replica.fork()
    assert fork.groups["g"] is replica.groups["g"]
    assert fork.verification_keys == replica.verification_keys
    assert fork.revision == replica.revision
    fork.revise([change(group("staff", "all of us"), "g"), deletion("Session", "se")])
    assert fork.groups_by_name["staff"].message.metadata.description == "all of us"
    assert not fork.sessions
    assert fork.revision == replica.revision + 1
    assert replica.sessions
    assert not replica.groups_by_name["staff"].message.metadata.description
    assert not told


def test_contents_make_another_replica_the_same() -> None:
    key, _ = key_change()
    replica = loaded(
        change(core.User(metadata=named("alice")), "u"),
        change(session("alice-x"), "se"),
        feed.Change(kind="Session.past", uid="se", data=_past("former")),
        change(core.Policy(metadata=named("a.b")), "p"),
        change(secret("key"), "x"),
        key,
    )
    other = Replica()
    other.revise(replica.contents())
    assert {entry.name for entry in other.policies.values()} == {"a.b"}
    assert other.users["u"].json == replica.users["u"].json
    assert other.sessions["se"].json == replica.sessions["se"].json
    assert "former" in str(other.sessions["se"].json)
    assert other.secrets == {}
    assert other.verification_keys == {}


def _past(token_id: str) -> bytes:
    status = core.SessionStatus()
    status.last_authentications.add(token_id=token_id)
    message = core.Session(status=status)
    part = PARTS["Session"]
    plain = part.take(message)
    assert plain is not None
    return part.encode(Vault([bytes(range(32))]), "se", plain)


def connected(name: str, *addresses: str, upstreams: dict[str, int] | None = None) -> core.Session:
    message = session(name)
    message.status.is_connected = True
    for address in addresses:
        form = {"v6": address} if ":" in address else {"v4": address}
        message.status.connection.addresses.add(**form)
    for service_uid, port in (upstreams or {}).items():
        upstream = message.status.connection.upstreams.add(port=port)
        upstream.l4_type = core.SessionStatusConnectionUpstreamL4Type__.TCP
        upstream.service_ref.uid = service_uid
    return message


def test_addresses_of_sessions_and_services() -> None:
    replica = Replica()
    wiki = service("wiki.default")
    wiki.status.port = 8080
    wiki.status.addresses.add().dual_stack_ip.ipv4 = "100.64.0.16"
    ann = connected("ann-1", "100.65.0.7/32", "fdee:1::7/128", upstreams={"w": 10000})
    replica.apply(snapshot(1, change(wiki, "w"), change(ann, "a")))
    assert replica.session_at("100.65.0.7") is replica.session_at("fdee:1::7")
    assert replica.session_at("100.65.0.7") is replica.sessions["a"]
    entry = replica.service_at("100.64.0.16")
    assert entry is replica.services["w"]
    assert entry.port == 8080
    assert replica.session_at("100.64.0.16") is None
    assert replica.service_at("100.65.0.7") is None
    assert list(replica.serving("w")) == [replica.sessions["a"]]
    assert replica.sessions["a"].serves == {("w", 1): 10000}
    other = replica.fork()
    replica.apply(commit(2, change(session("ann-1"), "a")))  # no longer connected
    assert replica.session_at("100.65.0.7") is None
    assert list(replica.serving("w")) == []
    assert other.session_at("100.65.0.7") is not None
    assert len(list(other.serving("w"))) == 1
    replica.apply(commit(3, deletion("Service", "w")))
    assert replica.service_at("100.64.0.16") is None
    assert other.service_at("100.64.0.16") is not None


def test_two_sessions_never_share_an_address(caplog: pytest.LogCaptureFixture) -> None:
    replica = Replica()
    replica.apply(snapshot(1, change(connected("ann-1", "100.65.0.7/32"), "a")))
    replica.apply(commit(2, change(connected("bob-1", "100.65.0.7/32"), "b")))
    found = replica.session_at("100.65.0.7")
    assert found is not None
    assert found.uid == "b"
    assert "ann-1" in caplog.text


def test_families_by_which_a_session_is_reached() -> None:
    replica = Replica()
    modes = core.SessionStatusConnectionL3Mode__
    for revision, (mode, lengths) in enumerate(
        ((modes.BOTH, [16, 4]), (modes.V4, [4]), (modes.V6, [16])), 1
    ):
        ann = connected("ann-1", "100.65.0.7/32", "fdee:1::7/128")
        ann.status.connection.l3_mode = mode
        one = change(ann, "a")
        replica.apply(snapshot(1, one) if revision == 1 else commit(revision, one))
        assert [len(one) for one in replica.sessions["a"].reachable] == lengths
        assert replica.session_at("100.65.0.7") is replica.session_at("fdee:1::7")


def test_containers_are_found_by_service_and_config() -> None:
    up = container.Container(address="10.43.0.7", port=80, ready=True)
    pulling = container.Container(config="green", reason="ImagePullBackOff", restarts=3)
    replica = loaded(change(container_state("one", up, pulling), "state"))
    ready = ContainerEntry("10.43.0.7", 80, ready=True, reason="")
    assert replica.containers == {
        ("one", ""): ready,
        ("one", "green"): ContainerEntry("", 0, ready=False, reason="ImagePullBackOff"),
    }
    changed: list[frozenset[tuple[str, str]]] = []
    replica.listeners.append(changed.append)
    fork = replica.fork()
    replica.apply(commit(2, change(container_state("one", pulling), "state")))
    assert set(replica.containers) == {("one", "green")}
    replica.apply(commit(3, deletion("ContainerState", "state")))
    assert replica.containers == {}
    assert changed == [frozenset({("ContainerState", "state")})] * 2
    assert fork.containers["one", ""] is not None
    copy = Replica()
    copy.revise(fork.contents())
    assert copy.containers == fork.containers
