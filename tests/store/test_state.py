from __future__ import annotations

import pytest

from octelium.schema.schema_id import SCHEMA_ID
from octelium.store.errors import StoreUnusable
from octelium.store.interface import Commit, Record, Write
from octelium.store.parts import PARTS
from octelium.store.state import Item, Shelf, State
from tests.store.samples import group, session, vault


def item(uid: str, *, name: str = "", user: str = "", created: int = 1) -> Item:
    message = session(name or f"name-{uid}", user=user)
    return Item(
        "Session", uid, message.metadata.name, message.SerializeToString(), None, 1, (created, 0)
    )


def record(kind: str, uid: str, data: bytes, revision: int = 1) -> Record:
    return Record(kind, uid, f"name-{uid}", SCHEMA_ID, data, revision, (revision, 0))


def commit(revision: int, *writes: Write) -> Commit:
    return Commit(revision, float(revision), writes)


def put(uid: str, message: object = None) -> Write:
    data = (message or group(f"name-{uid}")).SerializeToString()  # type: ignore[attr-defined]  # a message
    return Write("Group", uid, f"name-{uid}", SCHEMA_ID, data)


def test_a_shelf_finds_by_uid_name_and_index() -> None:
    shelf = Shelf()
    first, second = item("a", user="u1"), item("b", user="u1")
    shelf.put(first)
    shelf.put(second)
    assert shelf.by_uid == {"a": first, "b": second}
    assert shelf.by_name["name-b"] is second
    assert shelf.found(("status.userRef", "u1")) == {"a": first, "b": second}
    assert shelf.found(("status.userRef", "u2")) == {}


def test_a_shelf_forgets_former_index_values() -> None:
    shelf = Shelf()
    shelf.put(item("a", user="u1"))
    moved = item("a", user="u2")
    shelf.put(moved)
    assert shelf.found(("status.userRef", "u1")) == {}
    assert shelf.found(("status.userRef", "u2")) == {"a": moved}
    shelf.remove("a")
    assert shelf.found(("status.userRef", "u2")) == {}
    assert not shelf.by_name
    assert not shelf._indexes


def test_an_update_keeps_its_place_in_the_order_of_creation() -> None:
    shelf = Shelf()
    for uid in "bac":
        shelf.put(item(uid))
    shelf.put(item("a", user="u"))
    assert list(shelf.by_uid) == ["b", "a", "c"]


def test_loading_joins_parts_to_their_resources() -> None:
    message = session("name-s", authentications=2)
    plain = PARTS["Session"].take(message)
    assert plain is not None
    stored = PARTS["Session"].encode(vault(), "s", plain)
    state = State()
    state.load(
        [record("Session.past", "s", stored), record("Session", "s", message.SerializeToString())],
        7,
    )
    assert state.revision == 7
    loaded = state.shelves["Session"].by_uid["s"]
    assert not loaded.message.status.last_authentications
    assert len(loaded.whole(vault()).status.last_authentications) == 2


def test_an_unknown_kind_or_a_newer_schema_is_not_loaded() -> None:
    with pytest.raises(StoreUnusable, match="Gadget, which this release does not know"):
        State().load([record("Gadget", "g", b"")], 1)
    newer = Record("Group", "g", "name-g", SCHEMA_ID + 1, b"", 1, (1, 0))
    with pytest.raises(StoreUnusable, match="newer release"):
        State().load([newer], 1)


def test_commits_are_told_with_what_was_before() -> None:
    state = State()
    created = state.apply(commit(1, put("a"), put("b")))
    assert [(c.uid, c.before, c.after is not None) for c in created.changes] == [
        ("a", None, True),
        ("b", None, True),
    ]
    old = state.shelves["Group"].by_uid["a"]
    changed = group("name-a")
    changed.metadata.description = "new"
    updated = state.apply(commit(2, put("a", changed)))
    [change] = updated.changes
    assert change.before is old
    assert change.after is state.shelves["Group"].by_uid["a"]
    assert change.after.message.metadata.description == "new"
    assert (change.after.revision, change.after.created) == (2, (1, 0))
    changed.metadata.actor_operation = "delete"
    last = changed.SerializeToString()
    gone = state.apply(commit(3, Write("Group", "a", "name-a", SCHEMA_ID, last, deleted=True)))
    assert [(c.uid, c.after) for c in gone.changes] == [("a", None)]
    deletion = gone.changes[0].deletion
    assert deletion is not None
    assert deletion.message.metadata.actor_operation == "delete"
    assert state.revision == 3
    assert [one.uid for one in state.items()] == ["b"]


def test_a_part_changes_alone_or_with_its_resource() -> None:
    state = State()
    main = Write("Secret", "s", "name-s", SCHEMA_ID, b"")
    part = Write("Secret.data", "s", "s", SCHEMA_ID, b"one")
    first = state.apply(commit(1, part, main))
    assert [c.after and c.after.part for c in first.changes] == [b"one"]
    second = state.apply(commit(2, Write("Secret.data", "s", "s", SCHEMA_ID, b"two")))
    [change] = second.changes
    assert (change.before and change.before.part, change.after and change.after.part) == (
        b"one",
        b"two",
    )
    state.apply(commit(3, main))
    assert state.shelves["Secret"].by_uid["s"].part == b"two"
    state.apply(commit(4, Write("Secret.data", "s", "s", SCHEMA_ID, b"", deleted=True)))
    assert state.shelves["Secret"].by_uid["s"].part is None


def test_copies_are_the_callers_and_the_shared_message_is_parsed_once() -> None:
    one = item("a", user="u1")
    assert one.message is one.message
    copy = one.copy()
    copy.status.user_ref.uid = "changed"
    assert one.message.status.user_ref.uid == "u1"
    assert one.copy().status.user_ref.uid == "u1"
    former = one.message
    one.forget()
    assert one.message == former
    assert one.message is not former
