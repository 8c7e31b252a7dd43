from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.insight.engine import Question
from octelium.cluster.insight import Insight
from octelium.octovigil.references import reference
from octelium.schema.errors import Invalid
from octelium.visibility.batch import decode, encode
from octelium.visibility.logged import LoggedRequest
from octelium.visibility.record import AuditSubject
from tests.octovigil.world import HTTP, START, World, allow, uid_of
from tests.visibility.samples import record

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world() -> World:
    """Ann may get what is below /docs, with the header `x-team`."""
    made = World()
    docs = 'ctx.request.http.path.startsWith("/docs") && ctx.request.http.headers["x-team"] == "a"'
    made.policy("docs", allow(docs, name="below-docs"))
    made.user(authorization={"policies": ["docs"]})
    return made


@pytest.fixture
def insight(world: World) -> Iterator[Insight]:
    made = Insight(world.replica)
    yield made
    made.close()


def question(**fields: Any) -> Question:
    return Question(**{"service": "wiki.default", "session": "ann-1", "at": START, **fields})


async def test_a_question_is_answered(insight: Insight) -> None:
    request = {"http": {"path": "/docs/a", "headers": {"x-team": "a"}}}
    told = await insight.explain(question(request=request), find_change=False, asker="s")
    assert (told.outcome, told.reason) == ("ALLOWED", "POLICY_MATCH")
    assert told.user.name == "ann"
    (rule,) = told.rules
    assert (rule.name, rule.decided) == ("below-docs", True)
    told = await insight.explain(question(request=HTTP), find_change=False, asker="s")
    assert (told.outcome, told.reason) == ("DENIED", "NO_POLICY_MATCH")


async def test_the_live_replica_is_left_alone(insight: Insight, world: World) -> None:
    revision, sessions = world.replica.revision, dict(world.replica.sessions)
    supposed = question(session="", user="ann", session_fields={"spec": {"state": "PENDING"}})
    told = await insight.explain(supposed, find_change=False, asker="s")
    assert told.reason == "SESSION_NOT_ACTIVE"
    assert world.replica.revision == revision
    assert world.replica.sessions == sessions
    assert world.replica.listeners == [world.octovigil._changed]


@pytest.mark.parametrize(
    "fields",
    [
        {"service": "nothing.default"},
        {"session": "nobody"},
        {"session": "", "user": "nobody"},
        {"session_fields": {"spec": {"no": "field"}}},
        {"session_fields": {"metadata": {"uid": "x"}}},
    ],
)
async def test_what_cannot_be_asked(insight: Insight, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await insight.explain(question(**fields), find_change=False, asker="s")


def logged(world: World, target: bytes) -> LoggedRequest:
    replica = world.replica
    subject = AuditSubject(
        "HTTP",
        False,
        True,
        {"type": "NO_POLICY_MATCH"},
        service=reference(world.entry()),
        session=reference(replica.sessions[uid_of("Session", "ann-1")]),
        user=reference(replica.users_by_name["ann"]),
    )
    made = record(1, subject)
    made.target, made.started = target, START + 5
    batch = decode(encode("abcdefgh", [made]))
    return LoggedRequest(batch, batch.rows[0])


async def test_a_logged_request_is_asked_again(insight: Insight, world: World) -> None:
    told = await insight.explain_logged(
        logged(world, b"/elsewhere"), at=None, find_change=False, asker="s"
    )
    assert (told.outcome, told.reason) == ("DENIED", "NO_POLICY_MATCH")
    assert told.at.ToSeconds() == START + 5
    assert any("ctx.request.http.headers" in note for note in told.notes)


async def test_headers_that_nobody_knows_may_decide(insight: Insight, world: World) -> None:
    told = await insight.explain_logged(
        logged(world, b"/docs/a"), at=None, find_change=False, asker="s"
    )
    assert told.outcome == "DEPENDS"


async def test_what_is_gone_cannot_be_asked_again(insight: Insight, world: World) -> None:
    request = logged(world, b"/docs/a")
    world.remove("Service", "wiki.default")
    with pytest.raises(Invalid, match=r"the Service wiki\.default is gone"):
        await insight.explain_logged(request, at=None, find_change=False, asker="s")
