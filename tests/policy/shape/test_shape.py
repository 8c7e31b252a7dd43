from __future__ import annotations

from octelium.policy.shape.messages import message_shape
from octelium.policy.shape.shape import (
    BOOL,
    INT,
    OPEN,
    OPEN_MAP,
    STRING,
    Kind,
    Meaning,
    Shape,
    joined,
    list_of,
    map_of,
)
from octelium.schema.pb import core_v1_pb2 as core


def test_words() -> None:
    assert STRING.words == "a text"
    assert OPEN_MAP.words == "a map"
    assert message_shape(core.User.DESCRIPTOR).words == "an object"
    assert [OPEN.is_open, BOOL.is_open, OPEN_MAP.is_open] == [True, False, False]


def test_sparse() -> None:
    sparse = BOOL.as_sparse()
    assert (sparse.kind, sparse.sparse, BOOL.sparse) == (Kind.BOOL, True, False)


def test_what_either_of_two_may_hold() -> None:
    assert joined(STRING, STRING) == STRING
    assert joined(Shape(Kind.STRING, meaning=Meaning.NUMBER), STRING) == STRING
    assert joined(BOOL.as_sparse(), BOOL) == BOOL
    assert joined(STRING, INT) == OPEN
    assert joined(list_of(STRING), list_of(INT)) == OPEN
    user, group = message_shape(core.User.DESCRIPTOR), message_shape(core.Group.DESCRIPTOR)
    assert joined(user, user) is user
    assert joined(user, group) == OPEN
    assert joined(map_of(INT), map_of(INT)) == map_of(INT)
