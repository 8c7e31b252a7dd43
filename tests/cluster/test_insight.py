from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.insight.engine import Question
from octelium.cluster.insight import Insight
from octelium.octovigil.references import reference
from octelium.octovigil.rego.evaluator import Evaluator
from octelium.replica.follower import LocalFeed
from octelium.replica.replica import Replica
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.metadata import reference as reference_to
from octelium.visibility.batch import decode, encode
from octelium.visibility.logged import LoggedRequest
from octelium.visibility.record import AuditSubject
from octelium.visibility.store import LogStore
from tests.apiserver.harness import bootstrapped, resource
from tests.octovigil.world import HTTP, START, World, allow, uid_of
from tests.visibility.samples import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world() -> World:
    """Ann may get what is below /docs, with the header `x-team`."""
    made = World()
    docs = 'ctx.request.http.path.startsWith("/docs") && ctx.request.http.headers["x-team"] == "a"'
    made.policy("docs", allow(docs, name="below-docs"))
    made.user(authorization={"policies": ["docs"]})
    return made


@pytest.fixture
def insight(world: World, tmp_path: Path) -> Iterator[Insight]:
    made = Insight(world.replica, tmp_path / "logs.db")
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


def logged(world: World, target: bytes, referer: bytes = b"") -> LoggedRequest:
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
    made.target, made.started, made.referer = target, START + 5, referer
    batch = decode(encode("abcdefgh", [made]))
    return LoggedRequest(batch, batch.rows[0])


async def test_a_logged_request_is_asked_again(insight: Insight, world: World) -> None:
    told = await insight.explain_logged(
        logged(world, b"/elsewhere"), at=None, private=False, find_change=False, asker="s"
    )
    assert (told.outcome, told.reason) == ("DENIED", "NO_POLICY_MATCH")
    assert told.at.ToSeconds() == START + 5
    assert any("ctx.request.http.headers" in note for note in told.notes)


async def test_headers_that_nobody_knows_may_decide(insight: Insight, world: World) -> None:
    told = await insight.explain_logged(
        logged(world, b"/docs/a"), at=None, private=False, find_change=False, asker="s"
    )
    assert told.outcome == "DEPENDS"


async def test_the_headers_that_the_log_keeps_are_known(insight: Insight, world: World) -> None:
    world.policy(
        "docs",
        allow('ctx.request.http.headers["user-agent"] == "wget"', name="wget"),
        allow('ctx.request.http.headers["user-agent"] == "curl"', name="curl"),
    )
    told = await insight.explain_logged(
        logged(world, b"/docs/a"), at=None, private=False, find_change=False, asker="s"
    )
    assert told.outcome == "ALLOWED"
    (decided,) = [rule for rule in told.rules if rule.decided]
    assert decided.name == "curl"
    values = {part.text: part.value or part.error for part in decided.parts}
    assert values['ctx.request.http.headers["user-agent"]'] == '"curl"'
    assert values["ctx.request.http.headers"] == "not known"


async def test_what_is_gone_cannot_be_asked_again(insight: Insight, world: World) -> None:
    request = logged(world, b"/docs/a")
    world.remove("Service", "wiki.default")
    with pytest.raises(Invalid, match=r"the Service wiki\.default is gone"):
        await insight.explain_logged(request, at=None, private=False, find_change=False, asker="s")


async def test_rego_is_explained_with_its_result(world: World, tmp_path: Path) -> None:
    body = 'match if { endswith(input.ctx.request.http.path, "/a") }'
    module = f"package octelium.condition\n\n{body}"
    rule = {"effect": "ALLOW", "name": "rego", "condition": {"opa": {"inline": module}}}
    world.policy("docs", rule)
    evaluator = Evaluator()
    insight = Insight(world.replica, tmp_path / "logs.db", evaluator)
    for path, outcome in (("/docs/a", "ALLOWED"), ("/docs/b", "DENIED")):
        request = {"http": {"path": path}}
        told = await insight.explain(question(request=request), find_change=False, asker="s")
        assert told.outcome == outcome
    insight.close()
    evaluator.close()


# Questions about all of the Cluster.

VERDICTS = ext.AccessVerdict__


async def test_who_may_what(insight: Insight, world: World) -> None:
    world.user("bob")
    told = await insight.list_access("", "", asker="s")
    assert [(item.user, item.service, item.verdict) for item in told.items] == [
        ("ann", "wiki.default", VERDICTS.DEPENDS),
        ("bob", "wiki.default", VERDICTS.REFUSED),
    ]
    assert told.items[0].depends_on
    assert told.notes
    (one,) = (await insight.list_access("bob", "wiki.default", asker="s")).items
    assert one.user == "bob"


async def test_what_is_not_there_cannot_be_asked(insight: Insight) -> None:
    with pytest.raises(Invalid, match="nobody"):
        await insight.list_access("nobody", "", asker="s")


async def test_a_preview(tmp_path: Path) -> None:
    """The resources of a store, what a transaction would make of them, and its log."""
    async with bootstrapped(tmp_path / "store") as api:
        replica = Replica()
        LocalFeed(api.resources, replica).start()
        rules = [{"effect": "ALLOW", "condition": {"matchAny": True}}]
        user, service, *_ = await api.store(
            resource("User", "ann", spec={"type": "HUMAN"}),
            web("wiki.default", api.resources.get(core.Namespace, name="default")),
            resource("Policy", "all", spec={"rules": rules}),
        )
        (session,) = await api.store(api.new_session(user, "ann-abc123"))
        store = LogStore(tmp_path / "logs.db")
        subject = AuditSubject(
            "WEB",
            False,
            True,
            {"type": "NO_POLICY_MATCH"},
            service=to_json(reference_to(service)),
            session=to_json(reference_to(session)),
            user=to_json(reference_to(user)),
        )
        store.append(encode("abcdefgh", [record(number, subject) for number in range(1, 6)]))
        insight = Insight(replica, tmp_path / "logs.db")
        async with api.resources.transaction() as tx:
            changed = tx.get(core.User, name="ann")
            changed.spec.authorization.policies.append("all")
            tx.update(changed)
            hypothesis = insight.suppose(tx)
            tx.discard()
        told = await insight.preview_access(hypothesis, logged_requests=4, asker="s")
        (change,) = [one for one in told.changes if one.before.user == "ann"]
        assert change.before.verdict == VERDICTS.REFUSED
        assert change.after.verdict == VERDICTS.ALLOWED
        (logged_change,) = told.logged
        assert (logged_change.count, told.logged_requests) == (4, 4)
        assert (logged_change.allowed_before, logged_change.allowed_after) == (False, True)
        assert logged_change.path == "/a"
        assert replica.users_by_name["ann"].message == user
        store.close()
        insight.close()


def web(name: str, namespace: core.Namespace) -> Any:
    made = resource(
        "Service",
        name,
        spec={"mode": "WEB", "isPublic": True, "config": {"upstream": {"url": "http://a.b"}}},
    )
    made.status.namespace_ref.CopyFrom(reference_to(namespace))
    return made


SECRET = "s3cr3t"
PROBES = [
    'ctx.request.http.queryParams.token == "abc"',
    "has(ctx.request.http.queryParams.token)",
    f'ctx.request.http.queryParams.token.startsWith("{SECRET[:1]}")',
    'ctx.request.http.uri.startsWith("/q")',
    "ctx.request.http.path == ctx.request.http.queryParams.token",
    "ctx.request.http.path.matches(ctx.request.http.queryParams.re)",
    "now().getHours(ctx.request.http.queryParams.token) > 3",
    f'ctx.request.http.queryParams.exists(attrs, attrs.contains("{SECRET[:1]}"))',
    'cel.bind(attrs, ctx.request.http.queryParams.token, attrs == "1")',
    'cel.bind(string, ctx.request.http.queryParams.token, string == "1")',
    'ctx.user.metadata.name == ctx.request.http.headers["referer"]',
]


@pytest.mark.parametrize("probe", [*PROBES, "opa"])
async def test_what_only_the_sender_sees_is_unknown_to_others(
    insight: Insight, world: World, probe: str
) -> None:
    rule = allow(probe)
    if probe == "opa":
        body = 'match if net.cidr_contains("10.0.0.0/8", input.ctx.request.http.queryParams.token)'
        rule["condition"] = {"opa": {"inline": f"package octelium.condition\n\n{body}"}}
    world.policy("docs", rule)
    target = f"/docs/a?token={SECRET}&token=b&re=({SECRET}&{SECRET}=1".encode()
    referer = f"https://example.com/?{SECRET}".encode()
    request = logged(world, target, referer)
    told = await insight.explain_logged(request, at=None, private=True, find_change=True, asker="s")
    assert SECRET not in str(told)
    # The verdict tells nothing either.
    assert told.outcome == "DEPENDS"
    told = await insight.explain_logged(
        request, at=None, private=False, find_change=True, asker="s"
    )
    assert told.outcome != "DEPENDS"
