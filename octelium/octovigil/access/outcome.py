"""What a pair comes to: the walk through rules of which it is not known whether they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.octovigil.access.conditions import NEVER, Judgement
from octelium.octovigil.access.domains import Domains, Verdict
from octelium.octovigil.access.formula import FALSE, TRUE, Formula, Formulas, conjuncts
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.octovigil.access.conditions import Check
    from octelium.octovigil.access.parties import Party, Place, Subject
    from octelium.octovigil.access.rules import PolicyList, Rule


class Hit(NamedTuple):
    """A rule that may decide: where it does when it is reached, and where it fails."""

    rule: Rule
    holds: Formula
    fails: Formula


_MAX_NAMED: Final = 5
"""Rules that a reason names."""

VERDICTS: Final = {
    Verdict.ALWAYS: ext.AccessVerdict__.ALLOWED,
    Verdict.NEVER: ext.AccessVerdict__.REFUSED,
    Verdict.SOMETIMES: ext.AccessVerdict__.DEPENDS,
}


class Outcome:
    """What becomes of requests: `allowed` says which ones are let in."""

    __slots__ = ("_blocked", "_hits", "_texts", "_why", "allowed", "verdict")

    def __init__(
        self,
        allowed: Formula,
        verdict: Verdict,
        hits: Sequence[Hit] = (),
        blocked: Formula = FALSE,
        why: str = "",
    ) -> None:
        self.allowed = allowed
        self.verdict = verdict
        self._hits = hits
        self._blocked = blocked
        self._why = why
        self._texts: list[str] | None = None

    @property
    def open_hits(self) -> list[Hit]:
        """The rules of which it is not known whether they decide."""
        return [hit for hit in self._hits if hit.holds is not TRUE]

    @property
    def depends_on(self) -> list[str]:
        """What must be true of a request, all together, if that is not settled."""
        if self.verdict is not Verdict.SOMETIMES:
            return []
        if self._texts is None:
            self._texts = conjuncts(self.allowed)
        return self._texts

    @property
    def why(self) -> str:
        """The rule that decides, those that may, or what refuses."""
        if not self._why:
            self._why = self._reason()
        return self._why

    def _reason(self) -> str:
        if self._blocked is TRUE:
            return "an enforcement rule or the pre-condition of a PolicyTrigger fails"
        certain = bool(self._hits) and self._hits[-1].holds is TRUE
        possible = self._hits[:-1] if certain else self._hits
        if certain and (not possible or self.verdict is not Verdict.SOMETIMES):
            last = self._hits[-1].rule
            if last.allows is (self.verdict is Verdict.ALWAYS):
                return f"{last.place} {'allows' if last.allows else 'denies'}"
        if not possible:
            return "no rule allows it"
        named = list(dict.fromkeys(map(_possibly, possible)))
        if len(named) > _MAX_NAMED:
            named[_MAX_NAMED:] = [f"{len(named) - _MAX_NAMED} more rules may decide"]
        if certain:
            last = self._hits[-1].rule
            named.append(f"else {last.place} {'allows' if last.allows else 'denies'}")
        else:
            named.append("else no rule allows it")
        return ", ".join(named)


def _possibly(hit: Hit) -> str:
    place = hit.rule.place
    if hit.fails is TRUE:
        return f"{place} fails"
    return f"{place} may {'allow' if hit.rule.allows else 'deny'}"


class Outcomes:
    """Makes outcomes, each only once."""

    def __init__(self, formulas: Formulas) -> None:
        self._formulas = formulas
        self._domains = Domains()
        self._constant: dict[tuple[bool, str], Outcome] = {}
        self._walked: dict[tuple[object, ...], Outcome] = {}
        self._limited: dict[tuple[object, ...], Outcome] = {}

    def constant(self, why: str, *, allowed: bool = False) -> Outcome:
        """The same for all requests."""
        made = self._constant.get((allowed, why))
        if made is None:
            made = self._constant[allowed, why] = (
                Outcome(TRUE, Verdict.ALWAYS, why=why)
                if allowed
                else Outcome(FALSE, Verdict.NEVER, why=why)
            )
        return made

    def agree(self, one: Outcome, two: Outcome) -> bool:
        """Whether the same requests are let in, for whatever reason."""
        if one.verdict is not two.verdict:
            return False
        if one.verdict is not Verdict.SOMETIMES:
            return True
        return self._domains.same(one.allowed, two.allowed)

    def walked(
        self,
        lists: tuple[PolicyList, PolicyList, PolicyList],
        subject: Subject,
        place: Place,
        asked: Party | None,
    ) -> Outcome:
        """What becomes of requests under the Policies of some lists."""
        formulas = self._formulas
        applies: dict[tuple[Check, ...], Formula] = {(): TRUE}
        blocked: Formula = FALSE
        one, two, three = lists
        if one.guards or two.guards or three.guards:
            for guards in (*one.guards, *two.guards, *three.guards):
                formula = TRUE
                for guard in guards:
                    judgement = guard.judge(formulas, subject, place, asked)
                    blocked = formulas.either(blocked, formulas.both(formula, judgement.fails))
                    formula = formulas.both(formula, judgement.holds)
                applies[guards] = formula
        hits: list[Hit] = []
        for slots in zip(one.slots, two.slots, three.slots, strict=True):
            for units in slots:
                for rule, guards in units:
                    judgement = rule.check.judge(formulas, subject, place, asked)
                    if judgement is NEVER:
                        continue
                    guard_formula = applies[guards]
                    if guard_formula is not TRUE:
                        judgement = Judgement(
                            formulas.both(guard_formula, judgement.holds),
                            formulas.both(guard_formula, judgement.fails),
                        )
                    holds, fails = judgement
                    if holds is TRUE or fails is TRUE:
                        hits.append(Hit(rule, holds, fails))
                        return self._found(tuple(hits), blocked)
                    if holds is not FALSE or fails is not FALSE:
                        hits.append(Hit(rule, holds, fails))
        return self._found(tuple(hits), blocked)

    def _found(self, hits: tuple[Hit, ...], blocked: Formula) -> Outcome:
        key = (blocked, *hits)
        made = self._walked.get(key)
        if made is None:
            made = self._walked[key] = self._made(hits, blocked)
        return made

    def _made(self, hits: Sequence[Hit], blocked: Formula) -> Outcome:
        formulas = self._formulas
        allowed = FALSE
        for rule, holds, fails in reversed(hits):
            if rule.allows:
                allowed = formulas.either(holds, allowed)
            else:
                allowed = formulas.both(formulas.negation(holds), allowed)
            if fails is not FALSE:
                allowed = formulas.both(formulas.negation(fails), allowed)
        if blocked is not FALSE:
            allowed = formulas.both(formulas.negation(blocked), allowed)
        return Outcome(allowed, self._domains.verdict(allowed), hits, blocked)

    def limited(self, outcome: Outcome, limit: Formula, why: str) -> Outcome:
        """`outcome` where `limit` is true; elsewhere requests are refused because of `why`."""
        if limit is TRUE or outcome.allowed is FALSE:
            return outcome
        if limit is FALSE:
            return self.constant(why)
        key = (outcome, limit, why)
        made = self._limited.get(key)
        if made is None:
            allowed = self._formulas.both(limit, outcome.allowed)
            verdict = self._domains.verdict(allowed)
            made = self._limited[key] = Outcome(
                allowed, verdict, outcome.open_hits, why=f"{outcome.why}, unless {why}"
            )
        return made
