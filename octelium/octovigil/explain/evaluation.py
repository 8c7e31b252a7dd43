"""Conditions, evaluated one by one and taken apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import yaml

from octelium.octovigil.explain.modules import Modules
from octelium.policy.cel.ast import Ident, Node, Select
from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError, EvaluationError, UnknownDataError
from octelium.policy.cel.parts import MAX_PARTS, UNKNOWN_TEXT, Part, cut, parts
from octelium.policy.cel.program import MAX_STEPS, new_frame
from octelium.policy.cel.reads import analyze
from octelium.policy.cel.unparse import escaped
from octelium.policy.cel.values import ABSENT, ATTRS, BUDGET, CTX, NOW, REGO, Frame
from octelium.policy.condition import CompiledCondition, compile_condition
from octelium.policy.rego.module import CONDITION, compile_module
from octelium.schema.jsonform import to_json
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from octelium.policy.cel.reads import Path
    from octelium.schema.pb import core_v1_pb2 as core

    Verdict: TypeAlias = ext.Verdict__.Verdict.ValueType

TRUE: Final = ext.Verdict__.TRUE
FALSE: Final = ext.Verdict__.FALSE
ERROR: Final = ext.Verdict__.ERROR
NOT_TRIED: Final = ext.Verdict__.NOT_TRIED
UNKNOWN: Final = ext.Verdict__.VERDICT_UNKNOWN

_MAX_CONDITION: Final = 2000
_NOT_TRIED_TEXT: Final = "not tried"


@dataclass(frozen=True, slots=True)
class Result:
    """What a condition came to. With ERROR, `error` says why."""

    verdict: Verdict
    error: str = ""


PENDING: Final = Result(NOT_TRIED)
"""Of a condition that was not reached."""


class Evaluator:
    """Evaluates conditions on one `ctx`. Each has the budget that a whole decision has.

    `unknown` are the paths below `ctx` at which nobody knows what stands there.
    """

    def __init__(
        self,
        ctx: dict[str, Any],
        now: float,
        unknown: frozenset[Path] = frozenset(),
        modules: Modules | None = None,
    ) -> None:
        self._whole = ctx
        self._known = known_part(ctx, unknown)
        self.frame: Frame = new_frame(ctx, now=now)
        self._now = self.frame[NOW]
        self._unknown = unknown
        self.modules = modules or Modules()
        self.steps = 0
        """What all evaluations took together."""

    def ready(self, attrs: dict[str, Any] | None, reads: frozenset[Path] | None = None) -> Frame:
        """The frame with a whole budget, for expressions that see `attrs`.

        What reads nothing that is not known gets `ctx` as plain data.
        """
        is_known = reads is not None and not self.touches(reads)
        self.frame[CTX] = self._whole if is_known else self._known
        self.frame[ATTRS] = ABSENT if attrs is None else attrs
        self.frame[BUDGET] = MAX_STEPS
        self.frame[NOW] = self._now
        self.frame[REGO] = None
        return self.frame

    def result(self, condition: core.Condition, attrs: dict[str, Any] | None) -> Result:
        """What a condition comes to."""
        try:
            compiled = compile_condition(condition)
        except CompileError as error:
            return Result(ERROR, str(error))
        return self.of_compiled(compiled, attrs, by_module=_has_module(condition))

    def of_compiled(
        self,
        compiled: CompiledCondition,
        attrs: dict[str, Any] | None,
        *,
        by_module: bool,
    ) -> Result:
        """What a compiled condition comes to; `by_module` tells whether Rego is part of it."""
        if self.hides(compiled.reads) or (by_module and self.touches(compiled.reads)):
            return Result(UNKNOWN)
        frame = self.ready(attrs, compiled.reads)
        try:
            holds = self.modules.answered(lambda: compiled.test(frame))
            return Result(TRUE if holds else FALSE)
        except UnknownDataError:
            return Result(UNKNOWN)
        except EvaluationError as error:
            return Result(ERROR, str(error))
        finally:
            left: Any = frame[BUDGET]
            self.steps += MAX_STEPS - left

    def hides(self, reads: frozenset[Path]) -> bool:
        """Whether something is looked at as a whole of which a part is not known."""
        return any(
            len(path) <= len(unknown) and unknown[: len(path)] == path
            for path in reads
            for unknown in self._unknown
        )

    def touches(self, reads: frozenset[Path]) -> bool:
        """Whether something is looked at that is not known, or is part of that.

        Modules get copies of what they look at, in which nothing could tell them so.
        """
        return any(
            path[: len(unknown)] == unknown[: len(path)]
            for path in reads
            for unknown in self._unknown
        )

    def parts(self, condition: core.Condition, attrs: dict[str, Any] | None) -> list[Part]:
        """The parts of a condition with their values."""
        found: list[Part] = []
        self._parts(condition, attrs, 0, found)
        return found[:MAX_PARTS]

    def _parts(
        self,
        condition: core.Condition,
        attrs: dict[str, Any] | None,
        depth: int,
        found: list[Part],
    ) -> None:
        form = condition.WhichOneof("type")
        if form in ("match", "not_"):
            try:
                root = check(getattr(condition, form)).root
            except CompileError:
                return  # the condition's own error says it
            found += map(self._shown, parts(root, self.ready(attrs), depth))
        elif form == "opa":
            found += map(self._shown, self._inputs(condition.opa.inline, attrs, depth))
        elif form in ("all", "any", "none"):
            self._children(getattr(condition, form).of, attrs, depth, found, decisive=form != "all")

    def _inputs(self, text: str, attrs: dict[str, Any] | None, depth: int) -> Iterator[Part]:
        """What a Rego module looks at."""
        try:
            module = compile_module(text, CONDITION)
        except CompileError:
            return
        frame = self.ready(attrs)
        for path in sorted(module.reads):
            if path:
                node: Node = Ident("ctx")
                for name in path:
                    node = Select(node, name, test=False)
                yield from parts(node, frame, depth)

    def _shown(self, part: Part) -> Part:
        """A part without its value if that was made of what is known only in part."""
        if not self._unknown:
            return part
        try:
            reads = analyze(check(part.text).root).paths
        except CompileError:  # it has names of its own
            return part
        return replace(part, value="", error=UNKNOWN_TEXT) if self.hides(reads) else part

    def _children(
        self,
        children: Any,
        attrs: dict[str, Any] | None,
        depth: int,
        found: list[Part],
        *,
        decisive: bool,
    ) -> None:
        decided = False
        for child in children:
            if len(found) >= MAX_PARTS:
                return
            text = flow(child)
            if decided:
                found.append(Part(text, "", _NOT_TRIED_TEXT, depth, _reads(child)))
                continue
            result = self.result(child, attrs)
            found.append(_as_part(text, result, depth, _reads(child)))
            self._parts(child, attrs, depth + 1, found)
            decided = result.verdict == ERROR or result.verdict == (TRUE if decisive else FALSE)


def _has_module(condition: core.Condition) -> bool:
    """Whether a condition is Rego, or made of conditions of which one is."""
    form = condition.WhichOneof("type")
    if form in ("all", "any", "none"):
        return any(_has_module(child) for child in getattr(condition, form).of)
    return form == "opa"


def _reads(condition: core.Condition) -> frozenset[str]:
    """The members of `ctx` that a condition looks at; an empty name means all of them."""
    try:
        paths = compile_condition(condition).reads
    except CompileError:
        return frozenset()  # what does not compile tells nothing but itself
    return frozenset(path[0] if path else "" for path in paths)


def _as_part(text: str, result: Result, depth: int, reads: frozenset[str]) -> Part:
    match result.verdict:
        case ext.Verdict__.TRUE:
            return Part(text, "true", "", depth, reads)
        case ext.Verdict__.FALSE:
            return Part(text, "false", "", depth, reads)
        case ext.Verdict__.VERDICT_UNKNOWN:
            return Part(text, "", UNKNOWN_TEXT, depth, reads)
    return Part(text, "", escaped(result.error), depth, reads)


def flow(condition: core.Condition) -> str:
    """A condition in YAML's flow style, on one line."""
    form = yaml.dump(
        to_json(condition),
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=2**30,
    )
    return cut(escaped(form.strip()), _MAX_CONDITION)


class _Dumper(yaml.SafeDumper):
    """Puts expressions that hold single quotation marks between double ones."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if "'" in text and '"' not in text and "\\" not in text:
        listed = yaml.safe_dump([text], default_flow_style=True, width=2**30)
        style = '"' if listed.startswith("['") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)


class Partial(dict[str, Any]):
    """A JSON object of which some members are not known; with None, all that are not there.

    Only conditions that look at its members one by one may see it.
    """

    __slots__ = ("_unknown",)

    def __init__(self, known: dict[str, Any], unknown: frozenset[str] | None) -> None:
        super().__init__(known)
        self._unknown = unknown

    def __missing__(self, key: str) -> Any:
        self._check(key)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        self._check(key)
        return super().__contains__(key)

    def _check(self, key: object) -> None:
        absent = not super().__contains__(key)
        if absent if self._unknown is None else key in self._unknown:
            raise UnknownDataError(f"{key} is not known")


def known_part(value: dict[str, Any], unknown: frozenset[Path]) -> dict[str, Any]:
    """`value` with what stands at the paths `unknown` made unknown; where one leads through
    something else than an object, from there on. Of an object that stands at such a path, what is
    there is known.
    """
    if not unknown:
        return value
    here = frozenset(path[0] for path in unknown if len(path) == 1)
    known = {key: item for key, item in value.items() if key not in here}
    lost = set(here)
    below: dict[str, set[Path]] = {}
    for path in unknown:
        if len(path) > 1 and path[0] not in here:
            below.setdefault(path[0], set()).add(path[1:])
    for key in here:
        if isinstance(value.get(key), dict):
            known[key] = Partial(value[key], None)
            lost.discard(key)
    for key, paths in below.items():
        inner = known.get(key)
        if isinstance(inner, dict):
            known[key] = known_part(inner, frozenset(paths))
        else:
            known.pop(key, None)
            lost.add(key)
    return Partial(known, frozenset(lost))
