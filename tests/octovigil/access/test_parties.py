from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil.access.parties import (
    NOW,
    Asked,
    Part,
    Parts,
    Place,
    Recalled,
    Subject,
    split,
)
from octelium.policy.cel.errors import UnknownDataError
from octelium.policy.cel.openmap import OpenMap
from octelium.policy.cel.values import Timestamp
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.world import World

if TYPE_CHECKING:
    from octelium.policy.cel.reads import Path

MODE = core.ServiceSpecMode__


def reads(*paths: str) -> frozenset[Path]:
    return frozenset(tuple(path.split(".")) if path else () for path in paths)


def subject(world: World, name: str = "ann", parts: Parts | None = None, **rest: Any) -> Subject:
    return Subject(parts or Parts(), world.replica.users_by_name[name], **rest)


def test_paths_are_split_by_whom_they_look_at() -> None:
    paths = reads("user.spec", "groups", "session.x", "device", "service.a", "namespace",
                  "request.http", "other.x")  # fmt: skip
    one, two, three = split(paths | {NOW})
    assert one == reads("user.spec", "groups", "session.x", "device")
    assert two == reads("service.a", "namespace")
    assert three == reads("request.http") | {NOW}
    assert split(reads("")) == (reads(""),) * 3


def test_parties_that_look_alike_are_seen_alike() -> None:
    world, parts = World(), Parts()
    world.user("bob")
    world.user("eve", type="WORKLOAD")
    seen = [
        subject(world, name, parts).part(reads("user.spec.type")) for name in ("ann", "bob", "eve")
    ]
    assert seen[0] is seen[1]
    assert seen[0] is not seen[2]
    assert seen[0].value == {"user": {"spec": {"type": "HUMAN"}}}
    whole = subject(world, "ann", parts).part(reads("user"))
    assert whole.value["user"]["spec"]["email"] == "ann@example.com"


def test_groups_are_seen_whole() -> None:
    world = World()
    world.put("Group", "team", {"attrs": {"level": 3}})
    groups = (world.replica.groups_by_name["team"],)
    part = subject(world, groups=groups).part(reads("groups"))
    assert part.value["groups"][0]["spec"]["attrs"] == {"level": 3.0}
    assert subject(world).part(reads("groups")).value == {}


def test_a_new_session() -> None:
    world = World()
    new = subject(world, types=("CLIENT", "CLIENTLESS"))
    part = new.part(reads("session.status.userRef", "session.spec", "device"))
    session = part.value["session"]
    assert session["spec"]["state"] == "ACTIVE"
    assert session["status"]["userRef"]["name"] == "ann"
    assert "isLocked" not in session["status"]
    assert session["status"].present["type"] == ("CLIENT", "CLIENTLESS")
    assert part.maybe == {"device": ()}
    client = subject(world, types=("CLIENT",)).part(reads("session.status.type"))
    assert client.value["session"]["status"]["type"] == "CLIENT"
    with pytest.raises(UnknownDataError):
        session["status"]["isBrowser"]


def test_an_existing_session_is_known() -> None:
    world = World()
    former = {"lastAuthentications": [{"tokenID": "old"}]}
    world.session("ann-1", "ann", status=former)
    entry = next(iter(world.replica.sessions.values()))
    known = subject(world, session=entry)
    part = known.part(reads("session.status.type", "device"))
    assert part.value == {"session": {"status": {"type": "CLIENT"}}}
    assert not part.maybe
    whole = known.part(reads("session.status"))
    assert whole.value["session"]["status"]["lastAuthentications"] == [{"tokenID": "old"}]


def test_nobody_has_nothing() -> None:
    part = Subject(Parts()).part(reads("", "user"))
    assert part.value == {}
    assert not part.maybe


def test_a_place() -> None:
    world = World()
    namespace = world.replica.namespaces_by_name["default"]
    place = Place(Parts(), world.entry(), namespace)
    assert place.part(reads("service.spec.mode")).value == {"service": {"spec": {"mode": "HTTP"}}}
    assert place.part(reads("namespace.metadata.name")).value["namespace"] == {
        "metadata": {"name": "default"}
    }
    assert "namespace" not in Place(Parts(), world.entry(), None).part(reads("")).value


@pytest.mark.parametrize(
    ("mode", "member", "inner"),
    [
        (MODE.HTTP, "http", "method"),
        (MODE.WEB, "http", "path"),
        (MODE.GRPC, "grpc", "serviceFullName"),
        (MODE.KUBERNETES, "kubernetes", "http"),
        (MODE.SSH, "ssh", "connect"),
        (MODE.DNS, "dns", "name"),
        (MODE.SOCKS5, "socks5", "connect"),
    ],
)
def test_any_request_of_a_mode(mode: int, member: str, inner: str) -> None:
    request = Asked(Parts(), mode).part(reads("request")).value["request"]
    assert set(request) == {member}
    assert inner in request[member]
    assert "other" not in request
    assert ("ip" in request.maybe) is (member not in ("ssh", "dns", "socks5"))


def test_streams_without_a_request_object() -> None:
    assert Asked(Parts(), MODE.TCP).part(reads("request")).value == {}


def recalled(unknown: frozenset[Path] = frozenset(), **http: Any) -> Recalled:
    return Recalled(Parts(), {"http": http}, unknown, 1.5)


def test_a_remembered_request() -> None:
    unknown = reads("http.headers", "http.size", "http.uri")
    request = (
        recalled(unknown, method="GET", uri="/…", headers={"host": "x"})
        .part(reads("request"))
        .value["request"]
    )
    http = request["http"]
    assert http["method"] == "GET"
    assert http["headers"]["host"] == "x"
    assert "uri" in http
    assert "path" not in http
    assert "ip" not in request
    for holder, key in ((http["headers"], "x-team"), (http, "size"), (http, "uri")):
        with pytest.raises(UnknownDataError):
            holder[key]


def test_a_remembered_stream_without_a_request() -> None:
    assert Recalled(Parts(), None, frozenset(), 0.0).part(reads("request")).value == {}


def test_remembered_requests_that_look_alike() -> None:
    parts, method = Parts(), reads("request.http.method")

    def part(at: float = 1.0, which: frozenset[Path] = method, **http: Any) -> Part:
        return Recalled(parts, {"http": http}, reads("http.headers"), at).part(which)

    assert part(method="GET", path="/a") is part(method="GET", path="/b")
    assert part(method="GET") is not part(method="PUT")
    assert part(method="GET") is not part()
    assert part(method="1") is not part(method=1.0)
    assert part(1.0, method="GET") is part(2.0, method="GET")
    timed = method | {NOW}
    assert part(1.0, timed, method="GET") is not part(2.0, timed, method="GET")
    assert part(1.0, timed, method="GET").now == Timestamp(10**9)
    headers = reads("request.http.headers.x")
    assert part(which=headers, headers={"x": "1"}) is not part(which=headers, headers={})


def test_open_maps_are_told_apart() -> None:
    parts = Parts()
    one = parts.make({"a": OpenMap(present={"b": ()})}, {})
    assert one is parts.make({"a": OpenMap(present={"b": ()})}, {})
    assert one is not parts.make({"a": OpenMap(maybe={"b": ()})}, {})
    assert parts.make({"a": 1.0}, {}) is not parts.make({"a": True}, {})


def test_what_is_known_in_full_is_a_plain_map() -> None:
    part = recalled(method="GET", headers={"x": "1"}).part(reads(""))
    assert part.complete
    assert part.value == {"request": {"http": {"method": "GET", "headers": {"x": "1"}}}}
    assert not isinstance(part.value["request"], OpenMap)
    assert not recalled(reads("http.headers"), method="GET").part(reads("")).complete
