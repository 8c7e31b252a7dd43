"""Counting and grouping of logged requests; `test_preview` holds them against decisions."""

from __future__ import annotations

from octelium.octovigil.access.logged import LoggedRequest
from octelium.octovigil.access.replay import Replay
from octelium.octovigil.access.world import Workshop
from octelium.octovigil.access.world import World as Seen
from tests.octovigil.world import World, allow, inline, uid_of


def request(number: int, user: str, method: str, path: str) -> LoggedRequest:
    return LoggedRequest(
        id=str(number),
        at=0.0,
        service=uid_of("Service", "wiki.default"),
        session=uid_of("Session", f"{user}-1"),
        user=uid_of("User", user),
        method=method,
        path=path,
        request={"http": {"method": method, "path": path}},
        unknown=frozenset({("http", "headers")}),
    )


def test_requests_are_grouped_by_all_that_is_shown() -> None:
    world = World()
    world.user("bob")
    world.session("bob-1", "bob")
    before = world.replica.fork()
    world.service(
        "wiki.default",
        authorization=inline(
            allow("ctx.request.http.method == 'GET'"),
            allow("ctx.request.http.headers['x'] == 'y'", priority=1),
        ),
    )
    workshop = Workshop(world.now)
    replay = Replay(Seen(before, workshop), Seen(world.replica, workshop), alike=True)
    replay.run(
        request(*each)
        for each in (
            (9, "ann", "GET", "/a"),
            (8, "bob", "GET", "/a"),
            (7, "ann", "PUT", "/a"),
            (6, "ann", "GET", "/b"),
            (5, "ann", "GET", "/a"),
        )
    )
    found = [
        (change.id, change.user, change.method, change.path, change.count)
        for change in replay.changes()
    ]
    assert found == [
        ("9", "ann", "GET", "/a", 2),
        ("8", "bob", "GET", "/a", 1),
        ("6", "ann", "GET", "/b", 1),
    ]
    assert (replay.count, replay.undecided) == (5, 1)
