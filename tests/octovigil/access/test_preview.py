"""What a preview tells, against decisions before and after the change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil.access.listing import NOTES
from octelium.octovigil.access.logged import LoggedRequest
from octelium.octovigil.access.preview import preview
from octelium.policy.request import NoRequest
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.conftest import SOAK
from tests.octovigil.access.crowd import ANY_MODE, Crowd
from tests.octovigil.world import World, allow, deny, inline, uid_of

if TYPE_CHECKING:
    from octelium.replica.replica import Replica

VERDICT = ext.AccessVerdict__
SIZE = (50, 20) if SOAK else (8, 7)

Cases = dict[tuple[str, str], dict[tuple[str, int], bool]]


def cases(crowd: Crowd) -> Cases:
    """Every decision, by pair, Session and number of the request."""
    found: Cases = {}
    for user in crowd.users:
        for service in crowd.services:
            numbers: Counter[str] = Counter()
            of_pair = found[user, service] = {}
            for session, _, decision in crowd.decisions(user, service):
                of_pair[session, numbers[session]] = decision.allowed
                numbers[session] += 1
    return found


def change(crowd: Crowd) -> None:
    """Put a few other resources in the place of some."""
    kinds = [
        ("Policy", crowd.policies),
        ("Policy", crowd.policies),
        ("Group", ["g0", "g1", "g2"]),
        ("User", crowd.users),
        ("Namespace", ["n0", "n1", "n2"]),
        ("ClusterConfig", ["default"]),
        ("PolicyTrigger", ["t0", "t1", "t2"]),
    ]
    for kind, names in crowd.random.sample(kinds, crowd.random.choice([1, 1, 2])):
        crowd.put(kind, crowd.random.choice(names))


def logged(crowd: Crowd) -> tuple[list[LoggedRequest], list[tuple[str, str, str, int]]]:
    """Requests of all Sessions to all Services, and what each is of `cases`."""
    requests: list[LoggedRequest] = []
    keys: list[tuple[str, str, str, int]] = []
    for user in crowd.users:
        for service in crowd.services:
            numbers: Counter[str] = Counter()
            for session, request, _ in crowd.decisions(user, service):
                known = None if isinstance(request, NoRequest) else request.context()
                http: dict[str, Any] = (known or {}).get("http", {})
                requests.append(
                    LoggedRequest(
                        id=str(len(requests)),
                        at=crowd.world.now,
                        service=uid_of("Service", service),
                        session=uid_of("Session", session),
                        user=uid_of("User", user),
                        method=http.get("method", ""),
                        path=http.get("path", ""),
                        request=known,
                    )
                )
                keys.append((user, service, session, numbers[session]))
                numbers[session] += 1
    return requests, keys


@pytest.mark.parametrize("seed", range(12 if SOAK else 8))
def test_a_preview_tells_what_happens(seed: int) -> None:
    crowd = Crowd(500 + seed, *SIZE)
    before, was = crowd.world.replica.fork(), cases(crowd)
    requests, keys = logged(crowd)
    change(crowd)
    after, is_ = crowd.world.replica.fork(), cases(crowd)
    response = preview(before, after, requests, clock=crowd.world.clock, served=ANY_MODE)
    assert response.pairs == SIZE[0] * SIZE[1]
    told = {(each.after.user, each.after.service) for each in response.changes}
    assert told == {pair for pair in was if was[pair] != is_[pair]}
    assert response.logged_requests == len(requests)
    assert not response.undecided
    expected: Counter[tuple[object, ...]] = Counter()
    for request, (user, service, session, number) in zip(requests, keys, strict=True):
        allowed = is_[user, service][session, number]
        if allowed != was[user, service][session, number]:
            expected[user, service, request.method, request.path, allowed] += 1
    found = {
        (each.user, each.service, each.method, each.path, each.allowed_after): each.count
        for each in response.logged
    }
    assert found == expected
    assert all(each.allowed_before is not each.allowed_after for each in response.logged)


def test_nothing_changed() -> None:
    world = World()
    world.user(authorization=inline(allow("ctx.request.http.method == 'GET'")))
    response = preview(world.replica, world.replica.fork(), [one()], clock=world.clock)
    assert not response.changes
    assert not response.logged
    assert (response.pairs, response.logged_requests, response.undecided) == (1, 1, 0)
    assert list(response.notes) == list(NOTES)


def test_the_same_in_other_words_is_no_change() -> None:
    world = World()
    get, put = "ctx.request.http.method == 'GET'", "ctx.request.http.method == 'PUT'"
    world.user(authorization=inline(allow(get), allow(put)))
    before = world.replica.fork()
    world.user(authorization=inline(allow("ctx.request.http.method in ['PUT', 'GET']")))
    assert not preview(before, world.replica, clock=world.clock).changes
    world.user(authorization=inline(allow("ctx.request.http.method in ['PUT', 'GET', 'POST']")))
    (changed,) = preview(before, world.replica, clock=world.clock).changes
    assert changed.before.verdict == changed.after.verdict == VERDICT.DEPENDS
    assert list(changed.after.depends_on) == ['ctx.request.http.method in ["PUT", "GET", "POST"]']


def test_a_change_names_both_sides() -> None:
    world = World()
    world.policy("all", allow())
    world.user(authorization={"policies": ["all"]})
    before = world.replica.fork()
    world.policy("all", allow(), deny("ctx.request.http.path.startsWith('/admin')"))
    (changed,) = preview(before, world.replica, clock=world.clock).changes
    assert (changed.before.verdict, changed.after.verdict) == (VERDICT.ALLOWED, VERDICT.DEPENDS)
    assert changed.before.why == "Policy all, rule 1 allows"
    assert changed.after.why == "Policy all, rule 2 may deny, else Policy all, rule 1 allows"


def test_new_and_deleted_resources() -> None:
    world = World()
    world.service("box.default", authorization=inline(allow()))
    before = world.replica.fork()
    world.user("bob")
    world.remove("Service", "box.default")
    world.service("new.default", authorization=inline(allow("ctx.user.metadata.name == 'bob'")))
    response = preview(before, world.replica, clock=world.clock)
    assert response.pairs == 2 * 3
    gone, new = response.changes
    assert (gone.before.user, gone.before.service) == ("ann", "box.default")
    assert not gone.HasField("after")
    assert (new.after.user, new.after.service) == ("bob", "new.default")
    assert not new.HasField("before")


def test_sessions_with_policies_of_their_own() -> None:
    world = World()
    world.policy("admins", allow("ctx.request.http.method == 'GET'"))
    world.session("ann-1", "ann", authorization={"policies": ["admins"]})
    world.session("ann-2", "ann")
    before = world.replica.fork()
    world.policy("admins", allow())
    (changed,) = preview(before, world.replica, clock=world.clock).changes
    assert changed.after.session == changed.before.session == "ann-1"
    assert (changed.before.verdict, changed.after.verdict) == (VERDICT.DEPENDS, VERDICT.ALLOWED)


# --- Rego


def rego(rule: str, **rest: Any) -> dict[str, Any]:
    text = f"package octelium.condition\n\n{rule}\n"
    return {"effect": "ALLOW", "condition": {"opa": {"inline": text}}, **rest}


GET = 'match if input.ctx.request.http.path == "/export"'


def test_another_text_of_rego_is_a_change() -> None:
    world = World()
    world.policy("p", rego(GET, name="out"))
    world.user(authorization={"policies": ["p"]})
    before = world.replica.fork()
    world.policy("p", rego(GET.replace("export", "exports"), name="out"))
    (changed,) = preview(before, world.replica, clock=world.clock).changes
    assert changed.before.verdict == changed.after.verdict == VERDICT.DEPENDS
    name = 'rego("Policy p, rule 1 (out)")'
    assert list(changed.before.depends_on) == list(changed.after.depends_on) == [name]
    assert changed.after.why.endswith(f"; the Rego of {name} changed")
    world.policy("p", allow("1 == 2"), rego(GET, name="out"))
    assert not preview(before, world.replica, clock=world.clock).changes


def test_other_inputs_of_rego_are_a_change() -> None:
    world = World()
    both = "match if input.ctx.request.http.method == input.attrs.method\n"
    world.policy("p", rego(both), attrs={"method": "GET"})
    reads = "match if input.ctx.request.http.path == input.ctx.user.spec.email"
    world.policy("q", rego(reads))
    world.user(authorization={"policies": ["p", "q"]})
    before = world.replica.fork()
    world.policy("p", rego(both), attrs={"method": "PUT"})
    world.user(authorization={"policies": ["p", "q"]}, email="other@example.com")
    (changed,) = preview(before, world.replica, clock=world.clock).changes
    assert changed.after.why.endswith(
        '; the Rego of rego("Policy p, rule 1") changed'
        '; what is known to the Rego of rego("Policy q, rule 1") changed'
    )


def test_logged_requests_are_decided_by_rego() -> None:
    world = World()
    module = GET + '\nmatch if "ops" in input.ctx.user.spec.groups'
    world.user(authorization=inline(rego(module)))
    before = world.replica.fork()
    world.user(authorization=inline(rego(module.replace("export", "exports"))))
    http = {"method": "GET", "path": "/export", "headers": {}}
    asked = one(path="/export", request={"http": http})
    (changed,), undecided = replayed(before, world, asked, one())
    assert (changed.path, changed.allowed_after, undecided) == ("/export", False, 0)
    lacking = one(unknown=frozenset({("http", "path")}))
    assert replayed(before, world, lacking) == ([], 1)


# --- logged requests


def one(**fields: Any) -> LoggedRequest:
    """A request of Ann's."""
    http = {"method": "GET", "path": "/", "headers": {}}
    given = {
        "id": "7",
        "at": World().now,
        "service": uid_of("Service", "wiki.default"),
        "session": uid_of("Session", "ann-1"),
        "user": uid_of("User", "ann"),
        "method": "GET",
        "path": "/",
        "request": {"http": http},
    }
    return LoggedRequest(**{**given, **fields})


def replayed(
    before: Replica, world: World, *requests: LoggedRequest
) -> tuple[list[ext.LoggedChange], int]:
    response = preview(before, world.replica, requests, clock=world.clock)
    return list(response.logged), response.undecided


def test_alike_requests_are_counted() -> None:
    world = World()
    before = world.replica.fork()
    world.policy("all", allow())
    world.user(authorization={"policies": ["all"]})
    (changed,), _ = replayed(before, world, one(id="9"), one(id="8"), one(id="7"))
    assert changed == ext.LoggedChange(
        id="9",
        count=3,
        user="ann",
        service="wiki.default",
        method="GET",
        path="/",
        allowed_before=False,
        allowed_after=True,
        why="Policy all, rule 1 allows",
    )


def test_what_the_log_lacks_leaves_a_request_undecided() -> None:
    world = World()
    before = world.replica.fork()
    world.user(authorization=inline(allow("ctx.request.http.headers['x-team'] == 'ops'")))
    lacking = one(unknown=frozenset({("http", "headers")}))
    assert replayed(before, world, lacking) == ([], 1)
    assert replayed(before, world, one()) == ([], 0)
    told = one(request={"http": {"headers": {"x-team": "ops"}}}, unknown=lacking.unknown)
    (changed,), undecided = replayed(before, world, told)
    assert changed.allowed_after
    assert not undecided
    assert replayed(world.replica.fork(), world, lacking) == ([], 0)


def test_expired_sessions_are_asked_about_policies_only() -> None:
    world = World()
    before = world.replica.fork()
    world.user(authorization=inline(allow()))
    world.now += 10 * 86400
    (changed,), _ = replayed(before, world, one())
    assert changed.allowed_after
    world.session("ann-1", "ann", state="PENDING")
    assert replayed(before, world, one()) == ([], 0)


def test_without_its_session_a_request_is_a_new_ones() -> None:
    world = World()
    world.remove("Session", "ann-1")
    before = world.replica.fork()
    world.user(authorization=inline(allow("ctx.session.spec.state == 'ACTIVE'")))
    (changed,), _ = replayed(before, world, one())
    assert changed.allowed_after
    world.remove("User", "ann")
    assert replayed(before, world, one()) == ([], 0)


def test_requests_from_nobody() -> None:
    world = World()
    nobody = one(session="", user="")
    before = world.replica.fork()
    world.service("wiki.default", authorization=inline(allow()))
    assert replayed(before, world, nobody) == ([], 0)
    world.service("wiki.default", isAnonymous=True)
    (changed,), _ = replayed(before, world, nobody)
    assert (changed.user, changed.allowed_after) == ("", True)


def test_a_deleted_service_refuses() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    before = world.replica.fork()
    world.remove("Service", "wiki.default")
    (changed,), _ = replayed(before, world, one())
    assert (changed.service, changed.why) == ("wiki.default", "the Service does not exist")


def test_a_value_in_two_readings_refuses_where_it_is_read() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    before = world.replica.fork()
    twice = one(repeated=frozenset({("http", "path")}))
    world.user(authorization=inline(allow(), deny("ctx.request.http.path == '/x'")))
    assert replayed(before, world, one()) == ([], 0)
    (changed,), _ = replayed(before, world, twice)
    assert changed.why == "a condition reads ctx.request.http.path, which is open to two readings"
    world.user(authorization=inline(allow(), deny("ctx.request.http.method == 'PUT'")))
    assert replayed(before, world, twice) == ([], 0)


def test_an_address_that_a_session_is_bound_to() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.session("ann-1", "ann", kind="CLIENTLESS", address="192.0.2.7")
    before = world.replica.fork()
    spec = {"ingress": {"useForwardedForHeader": True}}
    world.put("ClusterConfig", "default", spec, {"domain": "example.com"})
    assert replayed(before, world, one(address="192.0.2.7")) == ([], 0)
    assert replayed(before, world, one(address="::ffff:192.0.2.7"))[0]
    (changed,), _ = replayed(before, world, one(address="192.0.2.8"))
    assert not changed.allowed_after


def test_the_time_of_a_request_counts() -> None:
    world = World()
    before = world.replica.fork()
    world.user(authorization=inline(allow("now() < timestamp('2027-01-01T00:00:00Z')")))
    assert replayed(before, world, one()) == ([], 0)
    assert len(replayed(before, world, one(at=world.now - 100 * 86400))[0]) == 1
