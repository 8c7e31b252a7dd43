"""Conditions when the request, and a part of the Session, is not known.

A judgement says where a condition holds and where it fails, each as a formula over what remains to
be known. The parts of `all`, `any` and `none` are tried in order, and one that fails ends it.
"""

from __future__ import annotations

from functools import reduce
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from octelium.octovigil.access.formula import FALSE, TRUE
from octelium.octovigil.access.parties import NOW, split
from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError, EvaluationError, UnknownDataError
from octelium.policy.cel.openmap import OpenMap, looks_at_unknown
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.reads import Path
from octelium.policy.cel.residual import residual
from octelium.policy.cel.values import ABSENT
from octelium.policy.cel.values import NOW as NOW_SLOT
from octelium.policy.condition import MAX_DEPTH
from octelium.policy.rego.module import CONDITION, MAX_INLINE, compile_module, plain
from octelium.policy.rego.needed import UNDEFINED, RegoBudgetError
from octelium.policy.rego.values import Meter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.octovigil.access.formula import Formula, Formulas
    from octelium.octovigil.access.parties import Part, Party, Place, Subject
    from octelium.policy.cel.ast import Node
    from octelium.policy.cel.values import Timestamp
    from octelium.schema.pb import core_v1_pb2 as core


class Judgement(NamedTuple):
    """Where a condition holds, and where it fails; never both."""

    holds: Formula
    fails: Formula


_MAX_STEPS: Final = 1_000_000
"""Of all evaluations of one module: some second of a slow core."""
_CHANCE: Final = frozenset({"rand.intn", "uuid.rfc4122"})
"""Functions of Rego that come out otherwise each time."""

ALWAYS: Final = Judgement(TRUE, FALSE)
NEVER: Final = Judgement(FALSE, FALSE)
FAILS: Final = Judgement(FALSE, TRUE)


class Known(NamedTuple):
    """What a condition is judged on; `now` is None if it may be asked at any time.

    `ctx` is an `OpenMap` unless all of it is known.
    """

    formulas: Formulas
    ctx: dict[str, Any]
    now: Timestamp | None


class OpenCondition(Protocol):
    """A condition, or a part of one. `reads` are paths below `ctx`, or `parties.NOW`."""

    @property
    def reads(self) -> frozenset[Path]:
        """What the judgement can depend on."""

    def judge(self, known: Known) -> Judgement:
        """Where it holds and fails."""


class Constant:
    """What comes out the same whoever asks for whatever."""

    __slots__ = ("_judgement",)
    reads: frozenset[Path] = frozenset()

    def __init__(self, judgement: Judgement) -> None:
        self._judgement = judgement

    def judge(self, known: Known) -> Judgement:  # noqa: ARG002 - the Protocol's signature
        """The same as ever."""
        return self._judgement


class Expression:
    """An expression of CEL; with `negated` under `not`. `attrs` are its Policy's."""

    __slots__ = ("_attrs", "_negated", "_program", "_root", "reads")

    def __init__(self, text: str, attrs: object, *, negated: bool) -> None:
        """Raises CompileError for what is no expression."""
        self._program = compile_program(text)
        self._attrs = attrs
        self._negated = negated
        self._root: Node | None = None
        self.reads = self._program.reads | ({NOW} if self._program.volatile else frozenset())

    def judge(self, known: Known) -> Judgement:
        """Evaluated where that is possible; otherwise what remains."""
        judgement = self._evaluated(known)
        if judgement is None:
            judgement = self._residual(known)
        if not self._negated:
            return judgement
        formulas = known.formulas
        holds = formulas.negation(formulas.any([judgement.holds, judgement.fails]))
        return Judgement(holds, judgement.fails)

    def _evaluated(self, known: Known) -> Judgement | None:
        if looks_at_unknown(self._program.reads, known.ctx):
            return None
        frame = new_frame(known.ctx, self._attrs)
        frame[NOW_SLOT] = known.now
        try:
            return ALWAYS if self._program.test(frame) else NEVER
        except UnknownDataError:
            return None
        except EvaluationError:
            return FAILS

    def _residual(self, known: Known) -> Judgement:
        if self._root is None:
            self._root = check(self._program.text).root
        rest = residual(self._root, known.ctx, self._attrs, now=known.now)
        formulas = known.formulas
        holds, fails = (formulas.of(node, known.ctx, self._attrs) for node in rest)
        if fails is not FALSE:
            fails = formulas.all([fails, formulas.negation(holds)])
        return Judgement(holds, fails)


class Module:
    """A Rego module. It is evaluated where all that it reads is known; else it shows as a name.

    The name is `rego("PLACE")`. Two of one Policy are equal if text, inputs and the `attrs` that
    are read are.
    """

    __slots__ = ("_attrs", "_left", "_module", "_owner", "_place", "_says", "reads")

    def __init__(self, text: str, attrs: object, place: str) -> None:
        """Raises CompileError for what is no module."""
        self._module = module = compile_module(text, CONDITION)
        self._attrs = attrs
        self._place = place
        # A rule that moves up or down in its Policy says the same there.
        self._owner = place.rpartition(", rule ")[0] or place
        self._left = _MAX_STEPS
        program = module.program
        looks = program is None or any(path[:1] in ((), ("attrs",)) for path in program.input_paths)
        self._says = _digest(text, attrs if looks else None)
        self.reads = module.reads | ({NOW} if module.volatile else frozenset())

    def judge(self, known: Known) -> Judgement:
        """Whether it holds, if that can be told in a few steps."""
        judgement = self._evaluated(known)
        if judgement is not None:
            return judgement
        seen = [look(path, known.ctx) for path in sorted(self._module.reads)]
        identity = (self._owner, self._says, _digest(seen, known.now))
        atom = known.formulas.named("rego", self._place, identity, self._says)
        return Judgement(atom, FALSE)

    def _evaluated(self, known: Known) -> Judgement | None:
        program = self._module.program
        if program is None or self._left <= 0 or not _CHANCE.isdisjoint(program.calls):
            return None
        if self._module.volatile and known.now is None:
            return None
        ctx = known_at(self._module.reads, known.ctx)
        if ctx is None:
            return None
        document = {"ctx": plain(ctx)}
        if self._attrs is not ABSENT:
            document["attrs"] = plain(self._attrs)
        budget = min(MAX_INLINE, self._left)
        meter = Meter(budget, None if known.now is None else known.now.ns)
        try:
            value = program.evaluate(document, meter)
        except RegoBudgetError:
            return None
        except EvaluationError:
            return FAILS
        finally:
            self._left -= budget - max(meter.left, 0)
        if value is True:
            return ALWAYS
        return NEVER if value is False or value is UNDEFINED else FAILS


def known_at(paths: Iterable[Path], root: dict[str, Any]) -> dict[str, Any] | None:
    """What stands at `paths`, in maps of which all is known; None if something is not known.

    No path may lead below another.
    """
    found: dict[str, Any] = {}
    for path in paths:
        if not path:
            return None if isinstance(root, OpenMap) else root
        source, target = root, found
        for index, key in enumerate(path):
            if not dict.__contains__(source, key):
                if isinstance(source, OpenMap) and source.may_have(key):
                    return None
                break
            value = source[key]
            if index == len(path) - 1 or not isinstance(value, dict):
                if isinstance(value, OpenMap):
                    return None
                target[key] = value
                break
            source, target = value, target.setdefault(key, {})
    return found


def look(path: Path, root: dict[str, Any]) -> object:
    """All that is known of what stands at a path; equal where that is equal."""
    value: Any = root
    for index, key in enumerate(path):
        if not isinstance(value, dict):
            break
        if not dict.__contains__(value, key):
            if not isinstance(value, OpenMap) or not value.may_have(key):
                return index
            return index, value.present.get(key), value.maybe.get(key)
        value = value[key]
    return [value]


def _digest(*values: object) -> bytes:
    return blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Several:
    """`all`, `any` or `none` of some conditions."""

    __slots__ = ("_form", "_parts", "reads")

    def __init__(self, form: str, parts: Sequence[OpenCondition]) -> None:
        self._form = form
        self._parts = parts
        self.reads = frozenset[Path]().union(*(part.reads for part in parts))

    def judge(self, known: Known) -> Judgement:
        """The parts one after the other."""
        of = known.formulas
        if self._form == "all":
            go_on, fails = TRUE, FALSE
            for part in self._parts:
                if go_on is FALSE:
                    break
                each = part.judge(known)
                fails = of.any([fails, of.all([go_on, each.fails])])
                go_on = of.all([go_on, each.holds])
            return Judgement(go_on, fails)
        holds, fails = FALSE, FALSE
        for part in self._parts:
            ended = of.any([holds, fails])
            if ended is TRUE:
                break
            each = part.judge(known)
            go_on = of.negation(ended)
            holds = of.any([holds, of.all([of.negation(fails), each.holds])])
            fails = of.any([fails, of.all([go_on, each.fails])])
        if self._form == "none":
            holds = of.negation(of.any([holds, fails]))
        return Judgement(holds, fails)


class Enforcement:
    """Whether a Policy's enforcement rules let it apply: pairs of a condition and its effect.

    The first that holds decides, those that enforce before those that ignore; the Policy applies
    if none does.
    """

    __slots__ = ("_rules", "reads")

    def __init__(self, rules: Sequence[tuple[OpenCondition, bool]]) -> None:
        self._rules = sorted(rules, key=lambda rule: not rule[1])
        self.reads = frozenset[Path]().union(*(test.reads for test, _ in rules))

    def judge(self, known: Known) -> Judgement:
        """Where the Policy applies, and where that cannot be told for an error."""
        of = known.formulas

        def before(rest: Judgement, rule: tuple[OpenCondition, bool]) -> Judgement:
            test, enforces = rule
            here = test.judge(known)
            further = of.negation(of.any([here.holds, here.fails]))
            holds = of.all([further, rest.holds])
            if enforces:
                holds = of.any([here.holds, of.all([of.negation(here.fails), rest.holds])])
            return Judgement(holds, of.any([here.fails, of.all([further, rest.fails])]))

        return reduce(before, reversed(self._rules), ALWAYS)


def open_condition(condition: core.Condition, place: str, attrs: object = ABSENT) -> OpenCondition:
    """A condition of a Policy; `place` says where it stands. What cannot be compiled fails."""
    return _compile(condition, place, attrs, 1)


def _compile(condition: core.Condition, place: str, attrs: object, depth: int) -> OpenCondition:
    form = condition.WhichOneof("type")
    if depth > MAX_DEPTH:
        return Constant(FAILS)
    match form:
        case "match_any":
            return Constant(ALWAYS if condition.match_any else NEVER)
        case "match" | "not_":
            try:
                text = getattr(condition, form)
                return Expression(text, attrs, negated=form == "not_")
            except CompileError:
                return Constant(FAILS)
        case "all" | "any" | "none":
            parts = [
                _compile(part, place, attrs, depth + 1) for part in getattr(condition, form).of
            ]
            return Several(form, parts) if parts else Constant(NEVER)
        case "opa":
            try:
                return Module(condition.opa.inline, attrs, place)
            except CompileError:
                return Constant(FAILS)
    return Constant(NEVER)


class Check:
    """A condition whose judgements are remembered by what it sees of the parties."""

    __slots__ = ("_asked", "_by_place", "_by_subject", "_judged", "_place", "_subject", "reads",
                 "test")  # fmt: skip

    def __init__(self, test: OpenCondition) -> None:
        self.test = test
        self.reads = test.reads
        self._subject, self._place, self._asked = split(test.reads)
        self._judged: dict[tuple[Part, Part, Part], Judgement] = {}
        self._by_subject: dict[Subject, Judgement] = {}
        self._by_place: dict[Place, Judgement] = {}

    def judge(
        self, formulas: Formulas, subject: Subject, place: Place, asked: Party | None
    ) -> Judgement:
        """Where it holds and fails for this request; None for any request to the place."""
        if asked is None or not self._asked:
            if not self._place and not self._asked:
                judgement = self._by_subject.get(subject)
                if judgement is None:
                    judgement = self._by_subject[subject] = self._seen(
                        formulas, subject, place, place.asked
                    )
                return judgement
            if not self._subject:
                judgement = self._by_place.get(place)
                if judgement is None:
                    judgement = self._by_place[place] = self._seen(
                        formulas, subject, place, place.asked
                    )
                return judgement
            asked = place.asked
        return self._seen(formulas, subject, place, asked)

    def _seen(self, formulas: Formulas, subject: Subject, place: Place, asked: Party) -> Judgement:
        one, two, three = key = (
            subject.part(self._subject),
            place.part(self._place),
            asked.part(self._asked),
        )
        judgement = self._judged.get(key)
        if judgement is None:
            ctx: dict[str, Any] = {**one.value, **two.value, **three.value}
            if not (one.complete and two.complete and three.complete):
                ctx = OpenMap(ctx, maybe=one.maybe, open=False)
            judgement = self._judged[key] = self.test.judge(Known(formulas, ctx, three.now))
        return judgement
