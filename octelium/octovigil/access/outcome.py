"""What a pair comes to: the walk through rules of which it is not known whether they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.octovigil.access.domains import Domains, Verdict
from octelium.octovigil.access.formula import FALSE, TRUE, Formula, Formulas, conjuncts
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.octovigil.access.rules import Bundle, Hit

_MAX_NAMED: Final = 5
"""Rules that a reason names."""

VERDICTS: Final = {
    Verdict.ALWAYS: ext.AccessVerdict__.ALLOWED,
    Verdict.NEVER: ext.AccessVerdict__.REFUSED,
    Verdict.SOMETIMES: ext.AccessVerdict__.DEPENDS,
}


class Outcome:
    """What becomes of requests: `allowed` says of which ones they are let in.

    Outcomes with the same `allowed` are the same in effect; `why` may differ.
    """

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

    def agrees(self, other: Outcome) -> bool:
        """Whether the same requests are let in."""
        return self.verdict is other.verdict and (
            self.allowed is other.allowed or self.verdict is not Verdict.SOMETIMES
        )

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
        named = [_possibly(hit) for hit in possible[:_MAX_NAMED]]
        if len(possible) > _MAX_NAMED:
            named.append(f"{len(possible) - _MAX_NAMED} more rules may decide")
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

    def walked(self, bundles: tuple[Bundle, ...], limit: Formula = TRUE) -> Outcome:
        """What the rules of some groups come to; requests beyond `limit` are refused anyway.

        An empty bundle stands at the end of those of one list.
        """
        key = (limit, *bundles)
        made = self._walked.get(key)
        if made is None:
            made = self._walked[key] = self._walk(bundles, limit)
        return made

    def _walk(self, bundles: Sequence[Bundle], limit: Formula) -> Outcome:
        formulas = self._formulas
        found: list[tuple[int, bool, int, int, Hit]] = []
        ended = 0
        for bundle in bundles:
            ended += bundle.is_empty
            for hit in bundle.hits:
                rule = hit.rule
                found.append((rule.priority, rule.allows, ended, hit.position, hit))
        found.sort(key=lambda each: each[:4])
        hits: list[Hit] = []
        for *_, hit in found:
            hits.append(hit)
            if hit.holds is TRUE or hit.fails is TRUE:
                break
        allowed = FALSE
        for hit in reversed(hits):
            if hit.rule.allows:
                allowed = formulas.any([hit.holds, allowed])
            else:
                allowed = formulas.all([formulas.negation(hit.holds), allowed])
            allowed = formulas.all([formulas.negation(hit.fails), allowed])
        blocked = formulas.any(bundle.blocked for bundle in bundles)
        allowed = formulas.all([formulas.negation(blocked), limit, allowed])
        return Outcome(allowed, self._domains.verdict(allowed), hits, blocked)

    def limited(self, outcome: Outcome, limit: Formula, why: str) -> Outcome:
        """`outcome` where `limit` is true; elsewhere requests are refused because of `why`."""
        if limit is TRUE or outcome.allowed is FALSE:
            return outcome
        if limit is FALSE:
            return self.constant(why)
        allowed = self._formulas.all([limit, outcome.allowed])
        text = f"{outcome.why}, unless {why}"
        return Outcome(allowed, self._domains.verdict(allowed), why=text)
