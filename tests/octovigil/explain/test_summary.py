"""Decisions in one sentence."""

from __future__ import annotations

from octelium.octovigil.explain.summary import summary
from octelium.policy.decision import ReasonType
from tests.octovigil.explain.asking import told, traced
from tests.octovigil.world import START, World, allow, deny, inline


def test_sentences() -> None:
    world = World()
    assert summary(traced(world)) == "Refused: no rule allows it."
    assert summary(traced(world, session="")) == "Refused: nobody is known to have sent it."
    assert summary(traced(world, at=START + 4000)) == (
        "Refused: the Session must be renewed: its access token has ended."
    )
    world.policy("a", deny(name="no"))
    world.policy("b.a")
    world.user("ann", authorization={"policies": ["b.a"]})
    assert summary(traced(world)) == (
        "Refused: rule no of Policy a (attached to User ann through Policy b.a) denies."
    )
    world.user("ann", authorization=inline(allow(), name="own"))
    assert summary(traced(world)) == "Allowed: rule 1 of inline policy own of User ann allows."
    world.user("ann", authorization=inline(allow("1 / 0 > 1")))
    assert summary(traced(world)) == (
        "Refused, because the decision fails: rule 1 of inline policy 1 of User ann: "
        "division by zero."
    )
    world.service("wiki.default", isAnonymous=True)
    assert summary(traced(world)) == "Allowed: the Service is anonymous and asks no Policies."


def test_addresses() -> None:
    world = World()
    world.put("ClusterConfig", "default", {"ingress": {"useForwardedForHeader": True}})
    world.session("ann-1", "ann", kind="CLIENTLESS", address="192.0.2.1")
    assert summary(traced(world, address="192.0.2.2")) == (
        "Refused: the client's address is not the one where the Session began."
    )


def test_every_reason_has_words() -> None:
    world = World()
    story = traced(world)
    for reason in ReasonType:
        if reason not in (ReasonType.TYPE_UNKNOWN_REASON, ReasonType.POLICY_MATCH):
            story.reason = reason
            assert summary(story).startswith("Refused: ")


def test_a_request_with_two_readings() -> None:
    world = World()
    world.user("ann", authorization=inline(allow("ctx.request.http.path == '/'")))
    explanation = told(world, repeated=frozenset({("http", "path")}))
    assert explanation.summary.startswith("Refused: a condition reads ctx.request.http.path")
