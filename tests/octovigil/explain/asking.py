"""Short forms for tests of explanations, and random questions."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from octelium.octovigil.explain.edits import apply_edits, edit_of
from octelium.octovigil.explain.explanation import explain, explain_supposition
from octelium.octovigil.explain.supposing import suppose
from octelium.octovigil.explain.trace import Trace, trace
from octelium.octovigil.inquiry import Inquiry
from octelium.policy.request import NoRequest
from tests.octovigil.chaos import SERVICES, SESSIONS, Chaos, VirtualLoop
from tests.octovigil.world import HTTP, World, uid_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from octelium.octovigil.explain.supposition import Supposition
    from octelium.schema.pb import ext_v1_pb2 as ext


def http(path: str = "/", method: str = "GET", **headers: str) -> dict[str, Any]:
    """`ctx.request` of an HTTP request."""
    return {**HTTP, "http": {"method": method, "path": path, "headers": headers}}


def inquiry(request: dict[str, Any] | None = None, **rest: Any) -> Inquiry:
    """A question of ann's Session about `wiki.default`."""
    who = {} if {"session", "user"} & set(rest) else {"session": "ann-1"}
    given = {"service": "wiki.default", "request": HTTP if request is None else request, **who}
    return Inquiry(**{**given, **rest})


def supposed(world: World, request: dict[str, Any] | None = None, **rest: Any) -> Supposition:
    """The world of a question."""
    return suppose(world.replica, inquiry(request, **rest), world.now)


def traced(world: World, request: dict[str, Any] | None = None, **rest: Any) -> Trace:
    """The walk of a decision."""
    return trace(supposed(world, request, **rest))


def told(world: World, request: dict[str, Any] | None = None, **rest: Any) -> ext.Explanation:
    """An explanation, without looking for a change."""
    return explain(world.replica, inquiry(request, **rest), clock=world.clock)


def changed(world: World, request: dict[str, Any] | None = None, **rest: Any) -> list[str]:
    """The edits of a sufficient change in words, after a look whether it is sufficient."""
    supposition = supposed(world, request, **rest)
    explanation = explain_supposition(supposition, find_change=True)
    assert flips(supposition, explanation)
    return [edit.text for edit in explanation.change.edits]


def flips(supposition: Supposition, explanation: ext.Explanation) -> bool:
    """Whether the decision is another with the change that is named."""
    before = supposition.decide()
    after = apply_edits(supposition, map(edit_of, explanation.change.edits)).decide()
    assert after.outcome.name == explanation.change.outcome
    return before.allowed != after.allowed


def questions(seed: int) -> Iterator[tuple[World, Inquiry]]:
    """Questions without an end, about worlds that change at random."""
    while True:
        with closing(VirtualLoop()) as loop:
            chaos = Chaos(seed, loop)  # time stands still, and no stream is opened
        for index in range(20):
            chaos.changes()
            if index % 3 == 0:
                chaos.pairs = [chaos.pair() for _ in range(3)]
            question = _question(chaos)
            if question is not None:
                yield chaos.world, question
        seed += 1


def _question(chaos: Chaos) -> Inquiry | None:
    choose: random.Random = chaos.random
    replica = chaos.world.replica
    _, request, _ = chaos.request()
    service = choose.choice(SERVICES)
    if service not in replica.service_by_name:
        return None
    session = uid_of("Session", choose.choice(SESSIONS))
    if session not in replica.sessions or choose.random() < 0.1:
        session = ""
    if isinstance(request, NoRequest):
        return Inquiry(service, session=session, address=request.client_address)
    context = request.context()
    here = ("grpc", "http") if "grpc" in context else ("http",)
    repeated = frozenset({(*here, "headers", "user")} if choose.random() < 0.03 else ())
    return Inquiry(
        service,
        session=session,
        request=context,
        address=request.client_address,
        repeated=repeated,
    )
