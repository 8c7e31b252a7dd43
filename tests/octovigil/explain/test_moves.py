"""Moves: their words, their costs, and how they join."""

from __future__ import annotations

from octelium.octovigil.explain.edits import SET, UNSET
from octelium.octovigil.explain.moves import (
    MAX_EDITS,
    NOTHING,
    Move,
    attach,
    come_as,
    is_sayable,
    join_group,
    leave_groups,
    send,
    send_without,
    set_field,
    stamp,
    together,
)
from tests.octovigil.world import START, World, uid_of


def texts(move: Move | None) -> list[str]:
    assert move is not None
    return [edit.text for edit in move.edits]


def test_words() -> None:
    world = World()
    world.user("ann", groups=["a", "b"])
    user = world.replica.users_by_name["ann"]
    session = world.replica.sessions[uid_of("Session", "ann-1")]
    for move, words in (
        (send(("http", "method"), "GET"), ['send it with the method "GET"']),
        (send(("grpc", "http", "uri"), "/a"), ['send it with the URI "/a"']),
        (send(("http", "queryParams", "q"), "1"), ['send it with the query parameter q "1"']),
        (send(("mcp", "name"), 5), ["send it with ctx.request.mcp.name 5"]),
        (send(("ip",), "192.0.2.1"), ["send it from 192.0.2.1"]),
        (send_without(("http", "headers", "x-a")), ["send it without the header x-a"]),
        (join_group(user, "ops"), ["add User ann to Group ops"]),
        (
            leave_groups(user, ["a", "b"]),
            ["remove User ann from Group a", "remove User ann from Group b"],
        ),
        (attach(user, "p"), ["attach Policy p to User ann"]),
        (
            come_as(session, "ann"),
            ["sign in; from Session ann-1 of User ann it would come through"],
        ),
        (set_field(user, ("spec", "x"), 1, "words", 4), ["words"]),
    ):
        assert texts(move) == words


def test_fewest_edits_first_then_the_cheapest() -> None:
    user = World().replica.users_by_name["ann"]
    moves = [
        together(send(("a",), 1), send(("b",), 1)),
        attach(user, "p"),
        join_group(user, "g"),
        send(("a",), 1),
    ]
    ranked = sorted((move for move in moves if move), key=lambda move: move.rank)
    assert [len(move.edits) for move in ranked] == [1, 1, 1, 2]
    assert [move.cost for move in ranked] == [1, 3, 6, 2]


def test_joining() -> None:
    one, other = send(("a",), 1), send(("b",), 2)
    both = together(one, other)
    assert both is not None
    assert both.key == Move((*other.edits, *one.edits), 2).key
    assert together(one, one) == one
    assert together(NOTHING, one) == one
    assert together(one, send(("a",), 2)) is None
    assert together(one, send_without(("a",))) is None
    many = NOTHING
    for index in range(MAX_EDITS):
        joined = together(many, send((f"x{index}",), 1))
        assert joined is not None
        many = joined
    assert together(many, one) is None


def test_paths_that_cannot_be_said() -> None:
    assert is_sayable(("http", "headers", "x-a"))
    assert is_sayable(("http", "headers", "a.b]"))
    assert not is_sayable(("http", 'a"b'))


def test_machine_form() -> None:
    (edit,) = send(("http", "method"), "GET").edits
    assert (edit.kind, edit.path, edit.action, edit.value) == ("", ("http", "method"), SET, "GET")
    (edit,) = send_without(("http", "headers", "a")).edits
    assert edit.action == UNSET
    assert stamp(START + 0.9) == "2027-01-15T08:00:00Z"
