"""What of `ctx` can be made otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.explain.moves import NOTHING
from octelium.octovigil.explain.places import NoJsonError, Places, to_json
from octelium.policy.cel.values import CelType, Duration, Timestamp, UInt
from tests.octovigil.explain.asking import http, traced
from tests.octovigil.world import World


def places(
    world: World | None = None, request: dict[str, Any] | None = None, **rest: Any
) -> Places:
    told = traced(world or World(), request, **rest)
    return Places(told.supposition, told.parties)


def words(path: str, value: object, made: Places | None = None) -> list[str]:
    found = (made or places()).set(tuple(path.split(".")), value)
    return [edit.text for move in found for edit in move.edits]


def test_places_that_can_be_set() -> None:
    assert words("request.http.path", "/x") == ['send it with the path "/x"']
    assert words("user.spec.attrs.level", 3.0) == ["set spec.attrs.level of User ann to 3"]
    assert words("user.metadata.labels.a", "b") == ['set metadata.labels.a of User ann to "b"']
    assert words("session.spec.state", "ACTIVE") == ['set spec.state of Session ann-1 to "ACTIVE"']
    assert words("namespace.metadata.labels.a", "b") == [
        'set metadata.labels.a of Namespace default to "b"'
    ]


@pytest.mark.parametrize(
    "path",
    [
        "user.spec.email",
        "user.metadata.name",
        "user.metadata.labels",
        "service.spec.port",
        "session.status.authentication.info.aal",
        "session.status.userRef.uid",
        "session.status.ext.identityProvider.groups",
        "device.spec.state",
        "groups",
        "nope.x",
        "request",
        "request.grpc.method",
    ],
)
def test_places_that_cannot(path: str) -> None:
    assert words(path, "x") == []
    assert places().unset(tuple(path.split("."))) == []


def test_values_that_cannot_stand_there() -> None:
    assert words("request.http.path", None) == []
    assert words("request.http.path", CelType("int")) == []
    assert words("request.http.path", "x" * 3000) == []
    assert words("user.metadata.labels.a", 5.0) == []


def test_what_is_supposed_may_be_supposed_otherwise() -> None:
    made = places(user="ann", session="", device_fields={"spec": {}})
    assert words("device.status.osType", "LINUX", made) == [
        'set status.osType of Device supposed to "LINUX"'
    ]
    assert words("session.status.isBrowser", True, made)
    assert words("session.status.userRef.uid", "x", made) == []
    assert words("session.metadata.name", "x", made) == []
    assert words("session.status", {}, made) == []
    assert words("session.status.ext.identityProvider.groups", ["ops"], made) == []


def test_what_is_left_out() -> None:
    made = places(request=http(team="blue"))
    path = ("request", "http", "headers", "team")
    assert [edit.text for move in made.unset(path) for edit in move.edits] == [
        "send it without the header team"
    ]
    for essential in ("http", "http.path", "http.method", "http.headers"):
        assert made.unset(("request", *essential.split("."))) == []
    assert made.unset(("user", "spec", "attrs", "x"))
    assert made.unset(("user", "spec", "groups")) == []
    assert made.unset(("session", "status", "type")) == []


def test_what_is_not_known_is_not_changed() -> None:
    made = places(unknown=frozenset({("http", "headers")}))
    assert words("request.http.headers.x", "1", made) == []
    assert words("request.http", {}, made) == []
    assert words("request.http.path", "/x", made)


def test_system_resources_stay_as_they_are() -> None:
    world = World()
    world.put("User", "ann", {"type": "HUMAN"}, isSystem=True)
    assert words("user.spec.attrs.level", 3.0, places(world)) == []


def test_groups() -> None:
    world = World()
    world.put("Group", "ops")
    world.user("ann", groups=["dev", "qa"])
    world.put("Group", "dev")
    world.put("Group", "qa")
    made = places(world)
    assert made.join("gone") == []
    assert made.join("dev") == [NOTHING]
    assert [edit.value for move in made.join("ops") for edit in move.edits] == ["ops"]
    assert [edit.value for move in made.leave("dev", "qa") for edit in move.edits] == ["dev", "qa"]
    assert made.leave("ops") == [NOTHING]
    assert words("user.spec.groups", ["ops"], made) == ["add User ann to Group ops"]
    assert words("user.spec.groups", ["ops", "dev"], made) == []
    anonymous = places(session="")
    assert anonymous.join("ops") == []
    assert anonymous.leave("ops") == []


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (True, True),
        (3.0, 3),
        (3.5, 3.5),
        (1e300, 1e300),
        (UInt(7), 7),
        ([1.0, None], [1, None]),
        ({"a": 1.0}, {"a": 1}),
        (Timestamp(0), "1970-01-01T00:00:00Z"),
        (Duration(1_500_000_000), "1.5s"),
    ],
)
def test_json_of_values(value: object, form: object) -> None:
    made = to_json(value)
    assert made == form
    assert type(made) is type(form)


@pytest.mark.parametrize("value", [b"x", float("nan"), float("inf"), {1: 2}, CelType("int")])
def test_values_without_json(value: object) -> None:
    with pytest.raises(NoJsonError):
        to_json(value)
