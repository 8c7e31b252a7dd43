"""The search for a sufficient change: what would turn a decision round.

Moves are made up from the step that failed and from the conditions of rules, and tried in the order
of the number of their edits, then of their costs, then of what else they open. Each is tried by
really deciding in a world where its edits are made, so whatever is named is sufficient. A grant of
the User at the Service goes before all that an administrator would do which is larger or opens
anything else. A rule of its own, which always helps, is the last resort: it says nothing about the
Policies that there are. What opens the Cluster's API, or about everything, is named only if even
that does not help.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Final

from octelium.octovigil.explain.agreement import check_agreement
from octelium.octovigil.explain.attachment import (
    STRONGEST,
    add_rule,
    attach_existing,
    detach,
    disable,
    remove_rule,
)
from octelium.octovigil.explain.breadth import NOTHING_ELSE, Breadth, Opened
from octelium.octovigil.explain.edits import EditError, apply_edits, make
from octelium.octovigil.explain.evaluation import ERROR, FALSE
from octelium.octovigil.explain.granting import grants
from octelium.octovigil.explain.moves import OTHERS, Move, named, set_field
from octelium.octovigil.explain.remedies import remedies
from octelium.octovigil.explain.solver import Solver
from octelium.octovigil.explain.trace import Trace, trace
from octelium.policy.decision import Decision, Outcome, ReasonType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from octelium.octovigil.explain.edits import Edit
    from octelium.octovigil.explain.supposition import Supposition

MAX_TRIES: Final = 200
"""Worlds that are decided in."""
MAX_SECONDS: Final = 1.0
"""After which nothing but the last resort is tried."""
GRACE: Final = 3.0
"""Seconds for the last resort; conditions may be slow to evaluate."""

_MAX_ROUNDS: Final = 12
_MAX_BRANCHES: Final = 8
"""Moves that change something, though not enough, from which the search goes on."""
_MAX_COMPARED: Final = 8
"""Sufficient moves of one rank that are compared by what else they open."""
_MAX_SECOND: Final = 12
"""Moves that are tried after each of those."""

_AUTHORIZATION: Final = ("spec", "authorization")
_BY_RULES: Final = frozenset({ReasonType.POLICY_MATCH, ReasonType.NO_POLICY_MATCH})


class Found:
    """A sufficient change, and the decision with it."""

    def __init__(
        self, edits: Sequence[Edit], decision: Decision, opened: Opened = NOTHING_ELSE
    ) -> None:
        self.edits = edits
        self.decision = decision
        self.opened = opened


def find_change(supposition: Supposition, *, seconds: float | None = None) -> Found | None:
    """The smallest sufficient change that is found for the opposite outcome; None without any.

    It is looked for in `seconds`, `MAX_SECONDS` by default.
    """
    return _Search(supposition, MAX_SECONDS if seconds is None else seconds).run()


class _Search:
    def __init__(self, supposition: Supposition, seconds: float) -> None:
        self._world = supposition.fork()
        self._wants_allow = not self._world.decide().allowed
        self._end = time.monotonic() + seconds
        self._tries = 0
        self._breadth: Breadth | None = None
        self._wide: Found | None = None
        """The first change that turns the decision round, though it opens too much."""

    def run(self) -> Found | None:
        """The narrowest of the smallest; one that opens too much only if there is no other."""
        found = self._run() or self._wide
        if found is None:
            return None
        found = self._reduced(found)
        return Found(found.edits, found.decision, self._opened(found.edits))

    def _run(self) -> Found | None:
        base: tuple[Edit, ...] = ()
        for _ in range(_MAX_ROUNDS):
            with self._applied(base) as told:
                if told is None or told.outcome is None:
                    return None
                by_rules = not self._wants_allow or _fails_by_rules(told)
                moves = self._by_rules(told) if by_rules else remedies(told)
                last = self._last_resort(told)
                narrow = list(grants(told)) if by_rules and self._wants_allow else []
            if by_rules:
                found = self._search(base, moves)
                if found is None or self._is_larger(base, found):
                    found = self._first(base, narrow) or found
                if found is not None:
                    return found
                moves = last
            following = self._advance(base, moves, told)
            if isinstance(following, Found):
                return following
            if following is None:
                return None
            base = following
        return None

    # --- trying

    @contextmanager
    def _applied(self, edits: Sequence[Edit]) -> Iterator[Trace | None]:
        """The walk in a world with the edits made; None if they cannot be made."""
        world = self._world
        before = world.request, world.session_uid, world.address, world.repeated
        try:
            former = make(world, edits)
        except EditError:
            yield None
            return
        try:
            told = trace(world, with_parts=False)
            if world.repeated:
                check_agreement(told)  # only the decision knows what may be read in two ways
            yield told
        finally:
            world.put(former)
            world.request, world.session_uid, world.address, world.repeated = before

    def _decided(self, edits: Sequence[Edit]) -> Decision | None:
        """The decision in a world with the edits made; None if they cannot be made."""
        world = self._world
        before = world.request, world.session_uid, world.address, world.repeated
        self._tries += 1
        try:
            former = make(world, edits)
        except EditError:
            return None
        try:
            return world.decide()
        finally:
            world.put(former)
            world.request, world.session_uid, world.address, world.repeated = before

    def _turned(self, decision: Decision, *, anyhow: bool = False) -> bool:
        """Whether a decision is the opposite. A refusal should be one, and no failure."""
        if self._wants_allow:
            return decision.allowed
        return not decision.allowed and (anyhow or decision.outcome is not Outcome.ERROR)

    def _may_go_on(self) -> bool:
        return self._tries < MAX_TRIES and time.monotonic() < self._end

    # --- searching

    def _search(self, base: tuple[Edit, ...], moves: Iterable[Move]) -> Found | None:
        """One move, or two of which the second follows from what the first changes."""
        branches: list[tuple[Edit, ...]] = []
        for _, group in groupby(_ranked(moves), lambda move: move.rank):
            found = self._one_of(base, group, branches)
            if found is not None:
                return found
        return self._second(branches)

    def _one_of(
        self, base: tuple[Edit, ...], moves: Iterable[Move], branches: list[tuple[Edit, ...]]
    ) -> Found | None:
        """The narrowest of some moves of the same rank; others become branches."""
        turning: list[Found] = []
        for move in moves:
            if not self._may_go_on():
                break
            edits = (*base, *move.edits)
            decision = self._decided(edits)
            if decision is None:
                continue
            if self._turned(decision):
                turning.append(Found(edits, decision))
                if not self._widens(edits) or len(turning) >= _MAX_COMPARED:
                    break
            elif len(branches) < _MAX_BRANCHES:
                branches.append(edits)
        return self._narrowest(turning)

    def _first(self, base: tuple[Edit, ...], moves: Iterable[Move]) -> Found | None:
        """The first sufficient move."""
        for move in moves:
            if time.monotonic() > self._end + GRACE:
                break
            edits = (*base, *move.edits)
            decision = self._decided(edits)
            if decision is not None and self._turned(decision):
                return Found(edits, decision)
        return None

    def _is_larger(self, base: tuple[Edit, ...], found: Found) -> bool:
        """Whether a change does more than to let this User use this Service."""
        own = found.edits[len(base) :]
        if not self._widens(own):
            return False
        attaches = any(edit.path[:2] == _AUTHORIZATION for edit in own)
        return len(own) > 1 or attaches or bool(self._opened(found.edits).pairs)

    def _second(self, branches: Iterable[tuple[Edit, ...]]) -> Found | None:
        """The first sufficient move after one of the branches."""
        seconds: list[tuple[tuple[Edit, ...], Move]] = []
        for edits in branches:
            with self._applied(edits) as told:
                if told is None or not self._may_go_on():
                    continue
                by_rules = not self._wants_allow or _fails_by_rules(told)
                following = self._by_rules(told) if by_rules else remedies(told)
                seconds += [(edits, move) for move in _ranked(following)[:_MAX_SECOND]]
        seconds.sort(key=lambda pair: (len(pair[0]) + len(pair[1].edits), pair[1].cost))
        for edits, move in seconds:
            if not self._may_go_on():
                return None
            decision = self._decided((*edits, *move.edits))
            if decision is not None and self._turned(decision):
                found = self._narrowest([Found((*edits, *move.edits), decision)])
                if found is not None:
                    return found
        return None

    def _narrowest(self, turning: Sequence[Found]) -> Found | None:
        """The change that opens the least, the first of equals; None if all open too much."""
        if turning and not self._widens(turning[0].edits):
            return turning[0]
        best: tuple[int, Found] | None = None
        for found in turning:
            opened = self._opened(found.edits)
            if opened.is_too_wide:
                self._wide = self._wide or found
            elif best is None or len(opened.pairs) < best[0]:
                best = len(opened.pairs), found
        return None if best is None else best[1]

    def _widens(self, edits: Sequence[Edit]) -> bool:
        """Whether edits may let in more than the request that is asked about."""
        return self._wants_allow and any(edit.kind and edit.path for edit in edits)

    def _opened(self, edits: Sequence[Edit]) -> Opened:
        """What else the edits open, which can be made."""
        if not self._widens(edits):
            return NOTHING_ELSE
        if self._breadth is None:
            self._breadth = Breadth(self._world)
        return self._breadth.opened(apply_edits(self._world, edits))

    def _advance(
        self, base: tuple[Edit, ...], moves: Sequence[Move], told: Trace
    ) -> Found | tuple[Edit, ...] | None:
        """Make the first move that turns the decision round, or else one that gets further."""
        further: tuple[Edit, ...] | None = None
        for move in moves:
            if time.monotonic() > self._end + GRACE:
                return None
            edits = (*base, *move.edits)
            decision = self._decided(edits)
            if decision is None:
                continue
            if self._turned(decision, anyhow=True):
                return Found(edits, decision)
            if further is None:
                with self._applied(edits) as other:
                    if other is not None and _where(other) != _where(told):
                        further = edits
        return further

    def _reduced(self, found: Found) -> Found:
        """Without the edits that are not needed."""
        for edit in found.edits if time.monotonic() < self._end + GRACE else ():
            rest = tuple(other for other in found.edits if other is not edit)
            decision = self._decided(rest) if rest else None
            if decision is not None and self._turned(decision):
                return self._reduced(Found(rest, decision))
        return found

    # --- moves

    def _by_rules(self, told: Trace) -> list[Move]:
        """Moves that make another rule decide, or none."""
        if told.evaluator is None:
            return []
        solver = Solver(told.supposition, told.parties, told.evaluator.ready(None))
        moves: list[Move] = []
        for tried in told.rules:
            if tried.allows == self._wants_allow and not tried.decided:
                moves += solver.moves(tried.rule.condition, tried.policy.attrs, want=True)
            if tried.decided:
                fails = tried.result.verdict == ERROR
                for want in (False, True) if fails else (False,):
                    moves += solver.moves(tried.rule.condition, tried.policy.attrs, want=want)
                moves += detach(tried.policy)
                break
        if self._wants_allow:
            moves += attach_existing(told, told.evaluator)
        return moves

    def _last_resort(self, told: Trace) -> list[Move]:
        """Moves that win by a rule of their own, or that take away what no rule can win against."""
        decided = told.decided
        moves: list[Move] = []
        if not self._wants_allow:
            if decided is not None:
                moves += add_rule(told, allows=False, priority=decided.rule.priority)
                moves += [*detach(decided.policy), *disable(decided.policy)]
            service = told.parties.service
            text = f"disable {named(service)}"
            moves.append(set_field(service, ("spec", "isDisabled"), True, text, OTHERS))
            return moves
        if decided is None:
            return list(add_rule(told, allows=True, priority=0))
        if decided.rule.priority > STRONGEST:
            moves += add_rule(told, allows=True, priority=decided.rule.priority - 1)
        moves += [*detach(decided.policy), *remove_rule(decided), *disable(decided.policy)]
        return moves


def _fails_by_rules(told: Trace) -> bool:
    """Whether rules refuse, or one of them fails."""
    if told.outcome is Outcome.ERROR:
        return told.failing_config < 0 and told.decided is not None
    return told.outcome is Outcome.DENIED and told.reason in _BY_RULES


def _where(told: Trace) -> tuple[object, ...]:
    """How far a walk got."""
    decided = told.decided
    rule = None if decided is None else (decided.policy.place, decided.index, decided.order)
    return len(told.steps), told.steps[-1].name, told.steps[-1].verdict == FALSE, told.error, rule


def _ranked(moves: Iterable[Move]) -> list[Move]:
    """The different moves that do something, the smallest first."""
    distinct = {move.key: move for move in moves if move.edits}
    return sorted(distinct.values(), key=lambda move: move.rank)
