"""Explanations as text: complete, calm, and safe to print."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.narration import Line, Tone, narrate, text
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta

TRUE, FALSE, ERROR = ext.Verdict__.TRUE, ext.Verdict__.FALSE, ext.Verdict__.ERROR
NOT_TRIED, UNKNOWN = ext.Verdict__.NOT_TRIED, ext.Verdict__.VERDICT_UNKNOWN


def reference(kind: str, name: str) -> meta.ObjectReference:
    return meta.ObjectReference(kind=kind, name=name)


def example() -> ext.Explanation:
    made = ext.Explanation(
        outcome="DENIED",
        summary="Refused: rule no of Policy hr (attached to Group staff) denies.",
        service=reference("Service", "wiki.default"),
        session=reference("Session", "ann-1"),
        user=reference("User", "ann"),
        steps=[
            ext.ExplainedStep(name="Session is active", verdict=TRUE),
            ext.ExplainedStep(name="Policies", verdict=FALSE, detail="rule no of Policy hr denies"),
        ],
        policies=[
            ext.ExplainedPolicy(
                place="Policy hr",
                policy=reference("Policy", "hr"),
                owner=reference("Group", "staff"),
                inherited_from="eu.hr",
                applies=True,
                enforcement=[
                    ext.ExplainedRule(
                        index=1, effect="IGNORE", verdict=FALSE, condition="{matchAny: false}"
                    )
                ],
            ),
            ext.ExplainedPolicy(
                place="inline policy 1 of User ann",
                owner=reference("User", "ann"),
                why_not="it is disabled",
            ),
            ext.ExplainedPolicy(hidden=True),
        ],
        rules=[
            ext.ExplainedRule(
                policy=0,
                name="a",
                effect="ALLOW",
                verdict=FALSE,
                condition="{match: x}",
                priority=-1,
            ),
            ext.ExplainedRule(
                policy=0,
                name="no",
                effect="DENY",
                verdict=TRUE,
                decided=True,
                condition="{match: ctx.a == 1}",
                parts=[
                    ext.ExplainedPart(text="ctx.a", value="1.0"),
                    ext.ExplainedPart(text="ctx.b", error="absent", depth=1),
                ],
            ),
            ext.ExplainedRule(verdict=NOT_TRIED, hidden=True),
            ext.ExplainedRule(policy=0, index=2, effect="ALLOW", verdict=NOT_TRIED, condition="{}"),
        ],
        notes=["The clock is as it is."],
        hidden=True,
    )
    made.at.seconds = 1_800_000_000
    made.change.outcome = "ALLOWED"
    made.change.edits.add(text="add User ann to Group ops")
    return made


def test_the_whole_text() -> None:
    assert (
        text(example())
        == """\
Refused: rule no of Policy hr (attached to Group staff) denies.
Request of User ann (Session ann-1) to Service wiki.default at 2027-01-15 08:00:00 UTC

What would allow it
  add User ann to Group ops

Steps
  ✓ Session is active
  ✗ Policies: rule no of Policy hr denies

Policies, in the order of collection
  Policy hr, attached to Group staff through Policy eu.hr
    enforcement rule 2, IGNORE: does not hold
      {matchAny: false}
  inline policy 1 of User ann, does not apply: it is disabled
  Policies that you may not read

Rules, in the order in which they are tried
  1. ALLOW, priority -1, rule a of Policy hr: does not hold
    {match: x}
  2. DENY, rule no of Policy hr: holds, and decides
    {match: ctx.a == 1}
      ctx.a  →  1.0
        ctx.b  →  absent
  3. a rule that you may not read: not tried
  4. ALLOW, rule 3 of Policy hr: not tried
    {}

Notes
  The clock is as it is.
  Something is left out that you may not read.
"""
    )


def tones(explanation: ext.Explanation) -> dict[str, Tone]:
    return {line.text: line.tone for line in narrate(explanation)}


def test_tones() -> None:
    found = tones(example())
    assert found["Refused: rule no of Policy hr (attached to Group staff) denies."] is Tone.BAD
    assert found["Steps"] is Tone.HEADING
    assert found["✓ Session is active"] is Tone.PLAIN
    assert found["✗ Policies: rule no of Policy hr denies"] is Tone.BAD
    assert found["2. DENY, rule no of Policy hr: holds, and decides"] is Tone.BAD
    assert found["4. ALLOW, rule 3 of Policy hr: not tried"] is Tone.DIM
    allowed = example()
    allowed.outcome = "ALLOWED"
    allowed.rules[1].effect = "ALLOW"
    found = tones(allowed)
    assert found[allowed.summary] is Tone.GOOD
    assert found["2. ALLOW, rule no of Policy hr: holds, and decides"] is Tone.GOOD


def test_failures_and_what_is_not_known() -> None:
    explanation = ext.Explanation(outcome="DEPENDS", summary="It depends.")
    explanation.steps.add(name="Policies", verdict=UNKNOWN)
    explanation.steps.add(name="configuration", verdict=ERROR, detail="it failed")
    explanation.policies.add(place="Policy p", applies=True)
    explanation.rules.add(effect="ALLOW", verdict=UNKNOWN, condition="{match: x}")
    explanation.rules.add(effect="ALLOW", verdict=ERROR, error="division by zero", decided=True)
    lines = text(explanation).splitlines()
    assert "Request of nobody to a Service at 1970-01-01 00:00:00 UTC" in lines
    assert "  ? Policies" in lines
    assert "  ! configuration: it failed" in lines
    assert "  1. ALLOW, rule 1 of Policy p: depends on what is not known" in lines
    assert "  2. ALLOW, rule 1 of Policy p: fails, division by zero, and decides" in lines
    assert tones(explanation)["It depends."] is Tone.PLAIN


def test_several_edits_belong_together() -> None:
    explanation = example()
    explanation.change.outcome = "DENIED"
    explanation.change.edits.add(text="unlock User ann")
    lines = text(explanation).splitlines()
    at = lines.index("What would together refuse it")
    assert lines[at + 1 : at + 3] == ["  add User ann to Group ops", "  unlock User ann"]


def test_many_rules_that_are_not_tried() -> None:
    explanation = example()
    for _ in range(100):
        explanation.rules.add(effect="ALLOW", verdict=NOT_TRIED, condition="{}")
    lines = text(explanation).splitlines()
    assert "  10. ALLOW, rule 1 of Policy hr: not tried" in lines
    assert "  and 94 more that are not tried" in lines
    explanation.rules[-1].verdict = TRUE
    assert "  104. ALLOW, rule 1 of Policy hr: holds" in text(explanation).splitlines()


def test_nothing_to_say_takes_no_room() -> None:
    lines = narrate(ext.Explanation(summary="Refused."))
    assert [line.text for line in lines] == [
        "Refused.",
        "Request of nobody to a Service at 1970-01-01 00:00:00 UTC",
    ]


@given(st.text())
def test_every_line_is_safe_to_print(evil: str) -> None:
    explanation = example()
    explanation.summary = explanation.steps[0].detail = explanation.policies[0].place = ""
    usable = evil.encode("utf-8", "replace").decode()
    explanation.summary = explanation.rules[1].condition = usable
    explanation.rules[1].parts[0].value = explanation.notes[0] = usable
    explanation.steps[0].detail = explanation.change.edits[0].text = usable
    explanation.policies[0].why_not = explanation.user.name = usable
    lines = narrate(explanation)
    assert all(line.text.isprintable() for line in lines)
    assert len(text(explanation).splitlines()) == len(lines)


def test_lines_are_values() -> None:
    assert Line(1, "x") == Line(1, "x", Tone.PLAIN)


def test_what_another_server_says_is_bounded() -> None:
    made = ext.Explanation(notes=["a"] * 50_000)
    made.at.seconds = 10**15
    made.rules.add(policy=4_000_000, verdict=FALSE).parts.add(text="x", depth=2**32 - 1)
    made.policies.add(place="Policy ops")
    made.rules.add(policy=1, verdict=FALSE)
    shown = text(made)
    assert "second 1000000000000000" in shown
    assert shown.count("rule 1 of a Policy") == 2
    assert len(shown) < 500_000
    assert "  and more\n" in shown
    made.at.seconds = -(2**62)
    assert "second -" in text(made)


def test_what_was_asked() -> None:
    asked = ext.Explanation(asked="GET /admin", user=reference("User", "ann"))
    assert narrate(asked)[1].text.startswith("Request GET /admin of User ann to a Service at")


def test_what_else_a_change_opens() -> None:
    made = ext.Explanation(change=ext.SufficientChange(outcome="ALLOWED", remark="This also x."))
    made.change.edits.add(text="attach it")
    assert "What would allow it\n  attach it\n  This also x.\n" in text(made)
