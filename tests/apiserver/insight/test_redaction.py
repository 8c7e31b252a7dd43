"""What a reader may not get by an official method leaves no trace in an explanation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.insight.redaction import NOT_SHOWN, View, redacted
from octelium.apiserver.insight.rights import SHOWN
from octelium.policy.narration import text
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta

ALL = frozenset(SHOWN)
VERDICTS = ext.Verdict__

NAMES = {
    "User": ["user"],
    "Session": ["session"],
    "Device": ["device"],
    "Service": ["service"],
    "Namespace": ["namespace"],
    "Group": ["groups"],
    "GroupUser": ["groups", "user"],
    "ctx": [""],
    "anything": ["", "anything"],
    "request": ["request"],
    "constant": [],
}
ROOTS = {
    "ctx.user.spec.email": "User",
    'ctx.session.metadata.labels["team"]': "Session",
    "ctx.device.spec.state": "Device",
    "ctx.service.spec.port": "Service",
    "ctx.namespace.metadata.name": "Namespace",
    "ctx.groups": "Group",
}


def ref(kind: str, name: str = "") -> meta.ObjectReference:
    return meta.ObjectReference(kind=kind, name=name or f"{kind.lower()}-1", uid=f"uid-{kind}")


def part(source: str, kind: str) -> ext.ExplainedPart:
    return ext.ExplainedPart(
        text=source, value=f"value-of-{kind}", error=f"error-of-{kind}", reads=NAMES[kind]
    )


def rule(policy: int, secret: str, **fields: Any) -> ext.ExplainedRule:
    return ext.ExplainedRule(
        policy=policy,
        name=f"name-{secret}",
        effect="ALLOW",
        priority=7,
        condition=f"condition-{secret}",
        error=f"error-{secret}",
        verdict=VERDICTS.FALSE,
        **fields,
    )


def sample() -> ext.Explanation:
    """Every text of it names, by its end, the kinds that whoever reads it must be able to get."""
    parts = [part(source, kind) for source, kind in ROOTS.items()]
    parts += [
        part("ctx.request.http.path", "request"),
        part("ctx", "ctx"),
        part("ctx.groups.exists(g, g.spec.attrs.x == ctx.user.spec.email)", "GroupUser"),
        # Names of variables tell nothing of what they hold.
        part("attrs.x", "anything"),
        part("ctx.request.http.path.size()", "GroupUser"),
        part("1 + 1", "constant"),
    ]
    return ext.Explanation(
        outcome="DENIED",
        reason="POLICY_MATCH",
        summary="summary-all",
        error="error-all",
        service=ref("Service"),
        session=ref("Session"),
        user=ref("User"),
        device=ref("Device"),
        steps=[
            ext.ExplainedStep(name="Session is active", detail="step-all", verdict=VERDICTS.TRUE)
        ],
        policies=[
            ext.ExplainedPolicy(
                place="place-Policy",
                policy=ref("Policy", "named-Policy"),
                owner=ref("Group", "owner-Group"),
                inherited_from="from-Group",
                why_not="why-Group",
                enforcement=[rule(0, "Policy", parts=parts)],
            ),
            ext.ExplainedPolicy(place="inline-User", owner=ref("User", "owner-User")),
            ext.ExplainedPolicy(
                place="inline-ClusterConfig", owner=ref("ClusterConfig", "owner-ClusterConfig")
            ),
            ext.ExplainedPolicy(place="trigger-nobody", owner=ref("PolicyTrigger", "x-nobody")),
        ],
        rules=[
            rule(0, "Policy", parts=parts),
            rule(1, "User", parts=parts),
            rule(2, "ClusterConfig"),
            rule(3, "nobody"),
            rule(99, "nobody"),
        ],
        config="config-all",
        change=ext.SufficientChange(
            edits=[ext.Edit(kind="Group", name="edit-all", text="text-all")], outcome="ALLOWED"
        ),
        notes=["a note"],
    )


def needs(secret: str) -> set[str]:
    """The kinds that a marked text takes."""
    end = secret.rpartition("-")[2]
    return {"all": set(ALL), "nobody": {"nobody"}, "ctx": set(ALL), "anything": set(ALL)}.get(
        end, {"Group", "User"} if end == "GroupUser" else {end} & ALL
    )


MARKS = [
    *("summary-all", "error-all", "step-all", "config-all", "edit-all", "text-all"),
    *("place-Policy", "named-Policy", "owner-Group", "from-Group", "why-Group"),
    *("inline-User", "owner-User", "inline-ClusterConfig", "owner-ClusterConfig"),
    *("trigger-nobody", "x-nobody", "name-nobody", "condition-nobody"),
    *(f"{what}-{kind}" for what in ("name", "condition") for kind in ("Policy", "User")),
    *(f"value-of-{kind}" for kind in (*ROOTS.values(), "ctx", "GroupUser", "anything")),
    *(f"error-of-{kind}" for kind in (*ROOTS.values(), "ctx", "GroupUser", "anything")),
]


@given(kinds=st.sets(st.sampled_from(SHOWN)), own=st.booleans())
def test_what_may_not_be_read_leaves_no_trace(kinds: set[str], own: bool) -> None:
    shown = redacted(sample(), View(frozenset(kinds), own=own))
    everything = str(shown) + text(shown)
    for mark in MARKS:
        if not needs(mark) <= kinds:
            assert mark not in everything, mark
    assert shown.hidden
    if not own and kinds != ALL:
        assert all(step.verdict == VERDICTS.VERDICT_UNKNOWN for step in shown.steps)


def test_who_may_read_everything_sees_everything() -> None:
    given_ = sample()
    given_.asked = "GET /admin"
    del given_.policies[3:]
    del given_.rules[3:]
    shown = redacted(given_, View(ALL))
    for rule_ in (*given_.rules, *(r for policy in given_.policies for r in policy.enforcement)):
        for each in rule_.parts:
            each.ClearField("reads")  # the reader has no use for it
    assert shown == given_


@pytest.mark.parametrize("kind", SHOWN)
def test_each_missing_right_hides_something(kind: str) -> None:
    shown = redacted(sample(), View(ALL - {kind}))
    assert shown.hidden
    assert not shown.HasField("change")
    assert shown.error == shown.config == ""
    if kind in ROOTS.values():
        (source,) = [source for source, of in ROOTS.items() if of == kind]
        (value,) = [part for part in shown.rules[0].parts if part.text == source]
        assert (value.value, value.error) == ("", NOT_SHOWN)


def test_values_come_with_the_rights_to_their_resources() -> None:
    shown = redacted(sample(), View(frozenset({"Policy", "User"})))
    values = {part.text: part.value for part in shown.rules[0].parts}
    assert values["ctx.user.spec.email"] == "value-of-User"
    assert values["ctx.request.http.path"] == "value-of-request"
    assert values["1 + 1"] == "value-of-constant"
    assert values["ctx.groups"] == values["ctx.device.spec.state"] == ""
    assert values["ctx.groups.exists(g, g.spec.attrs.x == ctx.user.spec.email)"] == ""


def test_what_belongs_to_the_cluster_is_nobodys_to_read() -> None:
    view = View(ALL, belongs_to_cluster=lambda ref: ref.kind == "User")
    shown = redacted(sample(), view)
    everything = str(shown)
    assert "value-of-User" not in everything
    assert "inline-User" not in everything
    assert "summary-all" not in everything
    assert "value-of-Group" in everything


@pytest.mark.parametrize(
    ("outcome", "reason", "summary"),
    [
        ("DENIED", "NO_POLICY_MATCH", "Refused: no policy allows it."),
        ("DENIED", "POLICY_MATCH", "Refused: a policy denies it."),
        ("DENIED", "SESSION_NOT_ACTIVE", "Refused: session not active."),
        ("DENIED", "TYPE_UNKNOWN_REASON", "Refused."),
        ("ALLOWED", "POLICY_MATCH", "Allowed."),
        ("UNAUTHENTICATED", "", "Refused: nobody is known to have sent it."),
        ("BAD_REQUEST", "", "Refused: it can be read in two ways."),
        ("ERROR", "", "Refused, because the decision fails."),
        ("DEPENDS", "", "It depends on what is not known of the request."),
        ("SOMETHING_NEW", "", "Refused."),
    ],
)
def test_the_owner_of_a_request_knows_its_outcome(outcome: str, reason: str, summary: str) -> None:
    given_ = ext.Explanation(outcome=outcome, reason=reason, summary="secret", error="secret")
    shown = redacted(given_, View(frozenset(), own=True))
    assert (shown.outcome, shown.reason, shown.summary) == (outcome, reason, summary)
    assert "secret" not in str(shown)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("USER_LOCKED", "User"),
        ("USER_DEACTIVATED", "User"),
        ("SESSION_LOCKED", "Session"),
        ("SCOPE_UNAUTHORIZED", "Session"),
        ("DEVICE_NOT_ACTIVE", "Device"),
        ("POLICY_MATCH", "Policy"),
    ],
)
def test_a_reason_tells_the_state_of_a_resource(reason: str, kind: str) -> None:
    given_ = ext.Explanation(outcome="DENIED", reason=reason, summary=reason)
    assert redacted(given_, View(ALL - {kind})).reason == ""
    assert reason not in str(redacted(given_, View(ALL - {kind})))
    assert redacted(given_, View(ALL - {kind}, told_reason=reason)).reason == reason
    assert redacted(given_, View(ALL - {kind}, told_reason="NO_POLICY_MATCH")).reason == ""
    other = "Group" if kind != "Group" else "User"
    assert redacted(given_, View(ALL - {other})).reason == reason


@pytest.mark.parametrize("decider", [0, 1, 2])
def test_rules_that_may_not_be_read_are_one(decider: int) -> None:
    given_ = sample()
    given_.rules[decider].decided = True
    shown = redacted(given_, View(frozenset(), own=True))
    (left,) = shown.rules
    # Neither how many there are is told, nor which of them decides.
    assert left == ext.ExplainedRule(
        policy=0, hidden=True, decided=True, effect="ALLOW", verdict=VERDICTS.FALSE
    )
    assert shown.policies == [ext.ExplainedPolicy(hidden=True)]


def test_rules_that_may_be_read_keep_their_policy() -> None:
    given_ = sample()
    given_.rules[2].decided = True
    given_.policies.insert(0, given_.policies.pop())
    for rule_ in given_.rules:
        rule_.policy += 1
    shown = redacted(given_, View(frozenset({"Policy", "User"})))
    assert [policy.hidden for policy in shown.policies] == [False, False, True]
    assert [policy.place for policy in shown.policies] == ["Policy named-Policy", "inline-User", ""]
    assert [(rule_.policy, rule_.hidden) for rule_ in shown.rules] == [
        (0, False),
        (1, False),
        (2, True),
    ]
    assert shown.policies[0].enforcement[0].policy == 0
