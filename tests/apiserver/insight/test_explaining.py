from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.insight import explaining
from octelium.apiserver.insight.engine import Question
from octelium.apiserver.insight.rights import EXPLAIN, SHOWN
from octelium.apiserver.rpc import ApiError, Call
from octelium.http.tasks import spawn
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import InvalidArgument, Unavailable
from octelium.store.metadata import reference
from octelium.visibility.batch import decode, encode
from octelium.visibility.logged import LoggedRequest
from octelium.visibility.record import AuditSubject
from tests.apiserver.harness import START, resource
from tests.visibility.samples import record

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

GETS = [f"Get{kind}" for kind in SHOWN]
NONE = {*GETS, "ListAccessLog", "UpdateSession", "UpdateDevice"}
MISSING = "zzzz-zzzz-24-0000-0000"
QUERY = "ctx.request.http.queryParams.token"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that are not there yet need not be waited for."""
    monkeypatch.setattr(explaining, "_WAITS", (0.0, 0.0))


def log(
    api: Harness, session: core.Session, *, allowed: bool = False, error: str = "", **refs: Any
) -> str:
    """An entry of a request of `session`; its id. With `error` nothing was decided."""
    user = api.resources.get(core.User, uid=session.status.user_ref.uid)
    subject = AuditSubject(
        "HTTP",
        allowed,
        True,
        {} if error else {"type": "POLICY_MATCH" if allowed else "NO_POLICY_MATCH"},
        service={"kind": "Service", "name": "wiki.default", "uid": "s", "resourceVersion": "1"},
        session=to_json(reference(session)),
        user={**to_json(reference(user)), **refs},
    )
    made = record(len(api.log.requests) + 1, subject)
    made.error = error
    batch = decode(encode("abcdefgh", [made]))
    logged = LoggedRequest(batch, batch.rows[0])
    api.log.requests[logged.id] = logged
    return logged.id


async def somebody(api: Harness, name: str = "ann") -> core.Session:
    """A Session of another User."""
    (user,) = await api.store(resource("User", name, spec={"type": "HUMAN"}))
    (session,) = await api.store(api.new_session(user, f"{name}-abc123"))
    assert isinstance(session, core.Session)
    return session


def told(api: Harness, session: core.Session) -> None:
    """What the engine answers: everything there can be."""
    ref = reference(session)
    api.thinker.explanation = ext.Explanation(
        outcome="DENIED",
        reason="NO_POLICY_MATCH",
        summary="a secret summary",
        session=ref,
        user=session.status.user_ref,
        policies=[
            ext.ExplainedPolicy(
                place="Policy ops", policy=meta.ObjectReference(kind="Policy"), owner=ref
            )
        ],
        rules=[
            ext.ExplainedRule(
                condition="a secret condition",
                parts=[ext.ExplainedPart(text=QUERY, value="a secret value")],
            )
        ],
        change=ext.SufficientChange(edits=[ext.Edit(text="a secret edit")]),
    )


SUPPOSED = ext.ExplainRequest(service="wiki", user="ann", find_change=True)


async def test_a_supposed_request(api: Harness) -> None:
    told(api, api.session)
    reply = await api.ext("Explain", SUPPOSED)
    assert reply == api.thinker.explanation
    assert api.thinker.questions == [Question("wiki.default", user="ann")]
    assert api.thinker.changes_sought == [True]
    assert "UpdateSession" not in api.decided


@pytest.mark.parametrize("right", GETS)
async def test_a_supposed_request_takes_every_right(api: Harness, right: str) -> None:
    api.denied = {right}
    code, text = await api.ext_refused("Explain", SUPPOSED)
    assert code == "PERMISSION_DENIED"
    assert text.endswith(f"the right to {right}")
    assert api.thinker.questions == []


@pytest.mark.parametrize(
    ("field", "right"), [("session_fields", "UpdateSession"), ("device_fields", "UpdateDevice")]
)
async def test_policies_of_the_callers_take_the_right_to_attach_them(
    api: Harness, field: str, right: str
) -> None:
    policies: dict[str, Any] = {"spec": {"authorization": {"inlinePolicies": [{"spec": {}}]}}}
    request = ext.ExplainRequest(service="wiki", user="ann")
    getattr(request, field).update(policies)
    api.denied = {right}
    assert (await api.ext_refused("Explain", request))[0] == "PERMISSION_DENIED"
    assert api.thinker.questions == []
    api.denied = set()
    await api.ext("Explain", request)
    assert len(api.thinker.questions) == 1


async def test_other_fields_take_no_right_to_update(api: Harness) -> None:
    api.denied = {"UpdateSession", "UpdateDevice"}
    request = ext.ExplainRequest(service="wiki", user="ann")
    request.session_fields.update({"spec": {"state": "PENDING"}})
    await api.ext("Explain", request)
    assert len(api.thinker.questions) == 1


async def test_contradictions_are_refused_before_anything_is_decided(api: Harness) -> None:
    request = ext.ExplainRequest(service="wiki", user="a", session="b")
    assert (await api.ext_refused("Explain", request))[0] == "INVALID_ARGUMENT"
    assert api.decided == []


async def test_nobody_is_told_anything(api: Harness) -> None:
    with pytest.raises(ApiError, match="Unauthenticated"):
        await api.explainer.explain(SUPPOSED, Call(path=EXPLAIN))


async def test_a_logged_request(api: Harness) -> None:
    session = await somebody(api)
    told(api, session)
    entry = log(api, session)
    reply = await api.ext("Explain", ext.ExplainRequest(log_id=entry, find_change=True))
    # The log does not show queries, so its explanation is not made of them either.
    assert api.thinker.recalled == [(entry, None, True)]
    assert reply.summary == "a secret summary"
    assert reply.change.edits[0].text == "a secret edit"
    assert reply.notes[0] == "When it was made, the request was refused, NO_POLICY_MATCH."
    assert not reply.hidden


async def test_a_request_that_no_policy_was_asked_about(api: Harness) -> None:
    session = await somebody(api)
    told(api, session)
    entry = log(api, session, error="called by another name")
    request = ext.ExplainRequest(log_id=entry)
    reply = await api.ext("Explain", request)
    assert reply.notes[0] == "When it was made, the request was refused: called by another name."
    api.denied = {"GetPolicy"}
    reply = await api.ext("Explain", request)
    assert reply.notes[0] == "When it was made, the request was refused."


@pytest.mark.parametrize("right", GETS)
async def test_a_logged_request_with_one_right_less(api: Harness, right: str) -> None:
    session = await somebody(api)
    told(api, session)
    entry = log(api, session)
    api.denied = {right}
    reply = await api.ext("Explain", ext.ExplainRequest(log_id=entry, find_change=True))
    assert reply.hidden
    assert "secret summary" not in str(reply)
    assert "secret edit" not in str(reply)
    assert api.thinker.changes_sought == [False]
    assert reply.notes[-1] == f"Seeing all of it takes {right}."
    assert ("secret condition" in str(reply)) is (right != "GetPolicy")


async def test_the_log_takes_the_right_to_list_it(api: Harness) -> None:
    session = await somebody(api)
    entry = log(api, session)
    api.denied = {"ListAccessLog"}
    answers = [
        await api.ext_refused("Explain", ext.ExplainRequest(log_id=wanted))
        for wanted in (entry, MISSING)
    ]
    # Not even which entries there are is told.
    assert answers[0] == answers[1]
    assert answers[0][0] == "PERMISSION_DENIED"
    assert api.thinker.recalled == []


async def test_an_entry_that_is_not_there(api: Harness) -> None:
    code, text = await api.ext_refused("Explain", ext.ExplainRequest(log_id=MISSING))
    assert code == "NOT_FOUND"
    assert MISSING in text
    code, _ = await api.ext_refused("Explain", ext.ExplainRequest(log_id="no id"))
    assert code == "INVALID_ARGUMENT"


async def test_ones_own_refusal_takes_no_right(api: Harness) -> None:
    session = await somebody(api)
    told(api, session)
    api.denied = NONE
    request = ext.ExplainRequest(log_id=log(api, session), find_change=True)
    reply = await api.ext("Explain", request, session=session)
    assert reply.summary == "Refused: no policy allows it."
    assert "secret" not in str(reply)
    assert reply.policies[0].hidden
    assert reply.hidden
    assert api.thinker.changes_sought == [False]


async def test_ones_own_query_is_ones_own(api: Harness) -> None:
    session = await somebody(api)
    told(api, session)
    request = ext.ExplainRequest(log_id=log(api, session))
    reply = await api.ext("Explain", request, session=session)
    assert api.thinker.recalled == [(request.log_id, None, False)]
    assert reply.rules[0].parts[0].value == "a secret value"


@pytest.mark.parametrize(
    ("at", "supposed"), [(100.4, None), (START - 30, START), (START + 30, START)]
)
async def test_times_that_can_be_tried_take_no_right(
    api: Harness, at: float, supposed: float | None
) -> None:
    session = await somebody(api)
    entry = log(api, session)
    api.denied = NONE
    request = ext.ExplainRequest(log_id=entry)
    request.at.FromMilliseconds(int(at * 1000))
    await api.ext("Explain", request, session=session)
    assert api.thinker.recalled == [(entry, supposed, False)]


@pytest.mark.parametrize("at", [START + 61, START - 61, 98.0, 102.0, START + 86400.0])
@pytest.mark.parametrize("right", GETS)
async def test_other_times_are_suppositions(api: Harness, at: float, right: str) -> None:
    session = await somebody(api)
    entry = log(api, session)
    api.denied = {right, "ListAccessLog"}
    request = ext.ExplainRequest(log_id=entry)
    request.at.FromSeconds(int(at))
    code, text = await api.ext_refused("Explain", request, session=session)
    assert (code, text.rpartition(" ")[2]) == ("PERMISSION_DENIED", right)
    assert api.thinker.recalled == []
    api.denied = {"ListAccessLog"}
    await api.ext("Explain", request, session=session)
    assert api.thinker.recalled == [(entry, int(at), False)]


@pytest.mark.parametrize("allowed", [True, False])
async def test_only_ones_own_refusals(api: Harness, allowed: bool) -> None:
    ann, bob = await somebody(api), await somebody(api, "bob")
    api.denied = NONE
    entry = log(api, ann, allowed=allowed)
    asker = ann if allowed else bob
    code, _ = await api.ext_refused("Explain", ext.ExplainRequest(log_id=entry), session=asker)
    assert code == "PERMISSION_DENIED"
    assert api.thinker.recalled == []


async def test_another_session_of_the_same_user_is_another_caller(api: Harness) -> None:
    ann = await somebody(api)
    user = api.resources.get(core.User, name="ann")
    (other,) = await api.store(api.new_session(user, "ann-def456"))
    api.denied = NONE
    request = ext.ExplainRequest(log_id=log(api, ann))
    assert (await api.ext_refused("Explain", request, session=other))[0] == "PERMISSION_DENIED"


async def test_no_decision_is_a_refusal(api: Harness) -> None:
    api.fails_to_decide = True
    for request in (SUPPOSED, ext.ExplainRequest(log_id=log(api, api.session))):
        assert (await api.ext_refused("Explain", request))[0] == "INTERNAL"
    assert not api.thinker.questions
    assert not api.thinker.recalled


async def test_what_changed_since_is_told(api: Harness) -> None:
    policy, old = await api.store(resource("Policy", "ops"), resource("Policy", "old"))
    session = await somebody(api)
    entry = log(api, session, resourceVersion="an earlier one")
    # The sample's request came in 1970: every Policy is younger.
    api.thinker.explanation = ext.Explanation(
        user=reference(api.resources.get(core.User, name="ann")),
        policies=[
            ext.ExplainedPolicy(policy=reference(policy), owner=session.status.user_ref),
            ext.ExplainedPolicy(policy=reference(old), hidden=True),
        ],
    )
    reply = await api.ext("Explain", ext.ExplainRequest(log_id=entry))
    assert "Changed since then: User ann, Policy ops." in reply.notes
    api.denied = {"GetPolicy"}
    reply = await api.ext("Explain", ext.ExplainRequest(log_id=entry))
    assert "ops" not in str(reply)


async def test_an_entry_that_comes_late_is_waited_for(
    api: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "_WAITS", (0.0, *[0.02] * 3000))
    entry = log(api, api.session)
    logged = api.log.requests.pop(entry)
    asking = spawn(api.ext("Explain", ext.ExplainRequest(log_id=entry)), name="asking")
    while not api.explainer._waiting:
        await asyncio.sleep(0)
    # One that waits is enough for anybody.
    code, _ = await api.ext_refused("Explain", ext.ExplainRequest(log_id=MISSING))
    assert code == "NOT_FOUND"
    assert not asking.done()
    api.log.requests[entry] = logged
    await asking
    assert api.thinker.recalled == [(entry, None, False)]
    assert not api.explainer._waiting


# The page: entries of the reader's own User.


def call_of(session: core.Session) -> Call:
    return Call(path=EXPLAIN, session_uid=session.metadata.uid)


async def test_the_page_is_for_the_user_whose_request_it_was(api: Harness) -> None:
    ann, bob = await somebody(api), await somebody(api, "bob")
    told(api, ann)
    entry = log(api, ann)
    api.denied = NONE
    own = await api.explainer.own(entry, call_of(ann))
    assert own is not None
    assert own.summary == "Refused: no policy allows it."
    assert "secret" not in str(own)
    (other,) = await api.store(
        api.new_session(api.resources.get(core.User, name="ann"), "ann-def456")
    )
    assert await api.explainer.own(entry, call_of(other)) is not None
    assert await api.explainer.own(entry, call_of(bob)) is None
    assert await api.explainer.own(entry, Call(path=EXPLAIN)) is None
    assert await api.explainer.own(MISSING, call_of(ann)) is None
    assert await api.explainer.own(log(api, ann, allowed=True), call_of(ann)) is None
    # The right to read everybody's entries does not make them the reader's own.
    api.denied = set()
    assert await api.explainer.own(entry, call_of(bob)) is None


# The log: one entry comes explained.


async def test_an_entry_in_words(api: Harness) -> None:
    session = await somebody(api)
    told(api, session)
    words = await api.explainer.in_words(log(api, session), call_of(api.session))
    assert words.startswith("a secret summary\n")


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Invalid("", "the Session is gone"), "the Session is gone"),
        (Unavailable("too many questions"), "too many questions"),
        (RuntimeError("a fault"), "control process says why"),
    ],
)
async def test_an_entry_can_be_read_without_its_explanation(
    api: Harness, failure: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    api.thinker.failure = failure
    entry = log(api, await somebody(api))
    told_ = await api.explainer.in_words(entry, call_of(api.session))
    assert told_.startswith("It cannot be explained: ")
    assert words in told_
    assert ("a fault" in caplog.text) is isinstance(failure, RuntimeError)


async def test_an_entry_is_not_explained_to_who_may_not_list_the_log(api: Harness) -> None:
    entry = log(api, await somebody(api))
    api.denied = {"ListAccessLog"}
    words = await api.explainer.in_words(entry, call_of(api.session))
    assert "ListAccessLog" in words
    assert api.thinker.recalled == []


async def test_a_text_that_is_no_id(api: Harness) -> None:
    with pytest.raises(InvalidArgument):
        await api.explainer.own("no id", call_of(await somebody(api)))
