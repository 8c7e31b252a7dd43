"""What else changes open."""

from __future__ import annotations

from octelium.octovigil.explain.breadth import API, NOTHING_ELSE, Breadth, Opened
from octelium.octovigil.explain.edits import ADD, Edit, apply_edits
from tests.octovigil.explain.asking import supposed
from tests.octovigil.world import World, allow, uid_of


def world() -> World:
    made = World()
    made.policy("all", allow())
    made.policy("get", allow("ctx.request.http.method == 'GET'"))
    for name in ("bob", "eve"):
        made.user(name)
    made.service("db.default")
    made.service("api.default")
    return made


def attach(kind: str, name: str, policy: str) -> Edit:
    path = ("spec", "authorization", "policies")
    return Edit(kind, name, uid_of(kind, name), path, ADD, policy)


def opened(given: World, *edits: Edit) -> Opened:
    supposition = supposed(given)
    return Breadth(supposition).opened(apply_edits(supposition, edits))


def test_nothing_changes() -> None:
    assert list(opened(world()).pairs) == []
    assert NOTHING_ELSE.remark() == ""
    assert not NOTHING_ELSE.is_too_wide


def test_services_that_open_to_the_user() -> None:
    for policy in ("all", "get"):
        found = opened(world(), attach("User", "ann", policy))
        assert sorted(found.pairs) == [("ann", "api.default"), ("ann", "db.default")]
        assert found.remark() == "This also opens Services api.default, db.default to User ann."
    given = world()
    given.user("ann", authorization={"policies": ["all"]})
    assert list(opened(given, attach("User", "ann", "get")).pairs) == []


def test_users_to_whom_the_service_opens() -> None:
    found = opened(world(), attach("Service", "wiki.default", "all"))
    assert sorted(found.pairs) == [("bob", "wiki.default"), ("eve", "wiki.default")]
    assert found.remark() == "This also opens Service wiki.default to Users bob, eve."
    assert not found.is_too_wide


def test_a_session_that_exists() -> None:
    found = opened(world(), attach("Session", "ann-1", "all"))
    assert sorted(found.pairs) == [("ann", "api.default"), ("ann", "db.default")]


def test_what_is_too_wide() -> None:
    assert Opened([("bob", API)], "ann", 9).is_too_wide
    many = [("ann", f"s{number}") for number in range(4)]
    assert Opened(many, "ann", 8).is_too_wide
    assert not Opened(many, "ann", 9).is_too_wide
    assert not Opened(many[:2], "ann", 2).is_too_wide
    remark = Opened([*many, ("ann", API), ("bob", "s1")], "ann", 9).remark()
    assert remark == (
        "This also opens 5 other Services to User ann, and Service s1 to User bob, "
        "the Cluster's API among them."
    )
