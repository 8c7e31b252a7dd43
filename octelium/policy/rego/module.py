"""Modules as conditions and configurations use them.

https://octelium.com/docs/octelium/latest/management/core/policy#open-policy-agent: a condition is
the rule `match` of the package `octelium.condition`, a computed configuration the rule `result` of
`octelium.eval`. Both see `input.ctx` and, in Policies, `input.attrs`.

An evaluation that is done in a few milliseconds is made at once. One that takes longer would keep
everybody waiting who shares the event loop, so it is somebody else's: `RegoNeeded` asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from octelium.policy.cel.errors import EvaluationError, UnknownDataError
from octelium.policy.cel.reads import Path, minimal
from octelium.policy.cel.values import ABSENT, ATTRS, CTX, NOW, REGO, Frame, Timestamp
from octelium.policy.context import Context
from octelium.policy.rego.builtins import VOLATILE
from octelium.policy.rego.needed import (
    UNDEFINED,
    RegoBudgetError,
    RegoError,
    RegoNeeded,
    RegoResults,
)
from octelium.policy.rego.tokens import RegoSyntaxError, input_paths, tokens_of, words
from octelium.policy.rego.values import MAX_STEPS, Meter

if TYPE_CHECKING:
    from octelium.policy.rego.program import Program

MAX_INLINE: Final = 3000
"""Steps of all modules in one decision that are made at once: some 3 ms of a slow core."""
LARGE: Final = 2500
"""Characters from which on even compiling a module takes too long for an event loop."""
_VOLATILE_WORDS: Final = frozenset(name.rpartition(".")[2] for name in VOLATILE)
_COMPILING: Final = 10_000
"""Steps for the patterns of a module that is compiled at once."""
_MAX_WHOLE: Final = 2**53
_PATIENCE: Final = 32
"""Evaluations of inputs as large as one that took too long that are not tried at once."""


class Purpose(NamedTuple):
    """What a module is for: its package, and the rule that the decision is taken from."""

    package: str
    rule: str


CONDITION: Final = Purpose("octelium.condition", "match")
CONFIGURATION: Final = Purpose("octelium.eval", "result")


@dataclass(slots=True, unsafe_hash=True)
class RegoModule:
    """A module that can be evaluated.

    `reads` are the paths below `ctx` that its result can depend on (the empty path: on all of it);
    with `volatile` it depends on the time of day, or on chance, too. They follow from the text, so
    they take no part in comparisons.
    """

    text: str
    purpose: Purpose
    reads: frozenset[Path] = field(compare=False)
    volatile: bool = field(compare=False)
    program: Program | None = field(compare=False)
    """None for a large module, which is compiled where it is evaluated."""
    _patience: int = field(default=0, compare=False)
    _heavy: int = field(default=0, compare=False)
    """Bytes of the input that took too long."""

    def test(self, frame: Frame) -> bool:
        """Its result as a condition: false if it is undefined.

        Raises:
            RegoNeeded: somebody else has to evaluate it.
            EvaluationError: it came to nothing, or to anything but true or false.
        """
        value = self.result(frame)
        if value is True:
            return True
        if value is False or value is UNDEFINED:
            return False
        raise RegoError(f"{self.purpose.rule} must come out true or false, not as {_kind(value)}")

    def form(self, frame: Frame) -> dict[str, object]:
        """Its result as a computed configuration, in JSON form.

        An undefined one is an error: its rule applies, and another configuration than the one
        it meant may carry other credentials.

        Raises:
            RegoNeeded: somebody else has to evaluate it.
            EvaluationError: it came to nothing, or to anything but an object.
        """
        value = self.result(frame)
        if isinstance(value, dict):
            return value
        kind = "undefined" if value is UNDEFINED else f"no object but {_kind(value)}"
        raise RegoError(f"{self.purpose.rule} is {kind}")

    def result(self, frame: Frame) -> object:
        """A JSON value, or `UNDEFINED`. Raises as `test`."""
        now = frame[NOW]
        if now is None and self.volatile:
            raise UnknownDataError("the time of the request is not known yet")
        now_ns = now.ns if isinstance(now, Timestamp) else None
        results: RegoResults | None = frame[REGO]  # type: ignore[assignment]  # untyped slots
        if results is None:
            results = frame[REGO] = RegoResults(MAX_INLINE)
        document = plain(self._document(frame))
        encoded = b""
        if results.known:
            encoded = _encoded(document)
            found = results.known.get((self, encoded), ABSENT)
            if isinstance(found, EvaluationError):
                raise RegoError(str(found))
            if found is not ABSENT:
                return found
        if self.program is not None and results.left > 0 and not self._is_heavy(document):
            meter = Meter(results.left, now_ns)
            try:
                return self.program.evaluate(document, meter)
            except RegoBudgetError:
                encoded = encoded or _encoded(document)
                self._patience, self._heavy = _PATIENCE, len(encoded)
            finally:
                results.left = meter.left
        raise RegoNeeded(self, encoded or _encoded(document), results, now_ns)

    def _is_heavy(self, document: object) -> bool:
        """Whether an attempt at once took too long with an input not much larger than this one.

        From time to time another one is due.
        """
        if self._patience == 0 or 2 * len(_encoded(document)) <= self._heavy:
            return False
        self._patience -= 1
        return True

    def _document(self, frame: Frame) -> dict[str, Any]:
        """The input document: of `ctx` no more than the members that the module reads."""
        ctx: Any = frame[CTX]
        if () not in self.reads:
            names = sorted({path[0] for path in self.reads})
            ctx = {name: ctx[name] for name in names if name in ctx}
        elif isinstance(ctx, Context):
            ctx = ctx.full()
        attrs = frame[ATTRS]
        return {"ctx": ctx} if attrs is ABSENT else {"ctx": ctx, "attrs": attrs}

    def __repr__(self) -> str:
        return f"RegoModule({self.purpose.package}, {len(self.text)} characters)"


@lru_cache(maxsize=512)
def compile_module(text: str, purpose: Purpose) -> RegoModule:
    """A module for evaluations. Of a large one, whose text has been stored, only tokens are read.

    Raises:
        RegoSyntaxError: it cannot be used; the error says where and why.
    """
    if len(text) > LARGE:
        return RegoModule(text, purpose, *_facts(text), None)
    # Only those who have modules need what compiles them.
    from octelium.policy.rego.program import Program

    try:
        program = Program(text, *purpose, Meter(_COMPILING))
    except RegoBudgetError:
        return RegoModule(text, purpose, *_facts(text), None)
    reads = _below_ctx(program.input_paths)
    return RegoModule(text, purpose, reads, _is_volatile(program), program)


def _facts(text: str) -> tuple[frozenset[Path], bool]:
    """`reads` and `volatile` of a module, and rather too much, from its tokens."""
    tokens = tokens_of(text)
    volatile = not _VOLATILE_WORDS.isdisjoint(words(tokens))
    return _below_ctx(input_paths(tokens)), volatile


def evaluate(text: str, purpose: Purpose, document: object, now_ns: int | None = None) -> object:
    """The result of a module, however long it takes up to `MAX_STEPS` steps.

    `document` is the input in JSON form, `now_ns` the time in nanoseconds since 1970.

    Raises:
        RegoError: it comes to none.
    """
    program = _program(text, purpose)
    if isinstance(program, str):
        raise RegoError(program)
    return program.evaluate(document, Meter(MAX_STEPS, now_ns))


def resolve(needed: RegoNeeded) -> None:
    """Get the result in this thread; a `Resolver` for those who need not hurry."""
    try:
        result = evaluate(
            needed.module.text,
            needed.module.purpose,
            msgspec.json.decode(needed.document),
            needed.now_ns,
        )
    except RegoError as error:
        needed.answer(error)
    else:
        needed.answer(result)


@lru_cache(maxsize=64)
def _program(text: str, purpose: Purpose) -> Program | str:
    """A compiled module, or why it cannot be used."""
    from octelium.policy.rego.program import Program

    try:
        program = Program(text, *purpose)
    except (RegoSyntaxError, RegoBudgetError) as error:
        return str(error)
    reads, volatile = _facts(text)
    paths = _below_ctx(program.input_paths)
    if minimal({*reads, *paths}) != reads or (_is_volatile(program) and not volatile):
        # A decision would be remembered for longer than it holds.
        return "what the module depends on cannot be told from its text"
    return program


def _is_volatile(program: Program) -> bool:
    return not VOLATILE.isdisjoint(program.calls)


@lru_cache(maxsize=1024)
def check_module(text: str, purpose: Purpose) -> str:
    """Why a module cannot be used, empty if it can. Looks at all of a large one, too."""
    program = _program(text, purpose)
    return program if isinstance(program, str) else ""


def _below_ctx(paths: frozenset[Path]) -> frozenset[Path]:
    """Paths below `input` as paths below `ctx`."""
    return minimal({path[1:] for path in paths if path[:1] != ("attrs",)})


def plain(value: object) -> Any:
    """JSON data of conditions with whole numbers as such: there are only doubles in it."""
    kind = type(value)
    if kind is dict:
        return {name: plain(item) for name, item in value.items()}  # type: ignore[attr-defined]
    if kind is list:
        return [plain(item) for item in value]  # type: ignore[attr-defined]  # a list
    if kind is float and -_MAX_WHOLE < value < _MAX_WHOLE and value.is_integer():  # type: ignore[operator,attr-defined]
        return int(value)  # type: ignore[call-overload]  # a float
    return value


def _encoded(document: object) -> bytes:
    try:
        return msgspec.json.encode(document)
    except (ValueError, TypeError, RecursionError) as error:
        raise RegoError(f"the request cannot be put in JSON: {error}") from None


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", str: "a string", list: "an array"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")
