"""Modules as conditions and configurations use them.

https://octelium.com/docs/octelium/latest/management/core/policy#open-policy-agent: a condition is
the rule `match` of the package `octelium.condition`, a computed configuration the rule `result` of
`octelium.eval`. Both see `input.ctx` and, in Policies, `input.attrs`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from octelium.policy.cel.errors import EvaluationError
from octelium.policy.cel.values import ABSENT, ATTRS, CTX, REGO, Frame
from octelium.policy.context import Context
from octelium.policy.rego.builtins import VOLATILE
from octelium.policy.rego.needed import UNDEFINED, RegoError, RegoNeeded
from octelium.policy.rego.source import read_source

if TYPE_CHECKING:
    from octelium.policy.cel.reads import Path
    from octelium.policy.rego.needed import Key

_MAX_WHOLE: Final = 2**53


class Purpose(NamedTuple):
    """What a module is for: its package, and the rule that the decision is taken from."""

    package: str
    rule: str


CONDITION: Final = Purpose("octelium.condition", "match")
CONFIGURATION: Final = Purpose("octelium.eval", "result")


@dataclass(frozen=True, slots=True)
class RegoModule:
    """A module whose text has passed `source.read_source`.

    `reads` are the paths below `ctx` that its result can depend on (the empty path: on all of it);
    with `volatile` it depends on the time of day, or on chance, too. Both follow from the text, so
    they take no part in comparisons.
    """

    text: str
    purpose: Purpose
    reads: frozenset[Path] = field(compare=False)
    volatile: bool = field(compare=False)

    def test(self, frame: Frame) -> bool:
        """Its result as a condition: false if it is undefined.

        Raises:
            RegoNeeded: the result is not at hand.
            EvaluationError: it came to none, or to anything but true or false.
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
            RegoNeeded: the result is not at hand.
            EvaluationError: it came to none, or to anything but an object.
        """
        value = self.result(frame)
        if isinstance(value, dict):
            return value
        kind = "undefined" if value is UNDEFINED else f"no object but {_kind(value)}"
        raise RegoError(f"{self.purpose.rule} is {kind}")

    def result(self, frame: Frame) -> object:
        """A JSON value, or `UNDEFINED`. Raises as `test`."""
        document = self._document(frame)
        results: dict[Key, Any] | None = frame[REGO]  # type: ignore[assignment]  # untyped slots
        if results is None:
            results = frame[REGO] = {}
        result = results.get((self, document), ABSENT)
        if result is ABSENT:
            raise RegoNeeded(self, document, results)
        if isinstance(result, EvaluationError):
            raise RegoError(str(result))
        return result

    def _document(self, frame: Frame) -> bytes:
        """The input document: of `ctx` no more than the members that the module reads."""
        ctx: Any = frame[CTX]
        if () not in self.reads:
            names = sorted({path[0] for path in self.reads})
            ctx = {name: ctx[name] for name in names if name in ctx}
        elif isinstance(ctx, Context):
            ctx = ctx.full()
        document = {"ctx": ctx}
        if frame[ATTRS] is not ABSENT:
            document["attrs"] = frame[ATTRS]
        try:
            return msgspec.json.encode(plain(document))
        except (ValueError, TypeError, RecursionError) as error:
            raise RegoError(f"the request cannot be put in JSON: {error}") from None

    def __repr__(self) -> str:
        return f"RegoModule({self.purpose.package}, {len(self.text)} characters)"


@lru_cache(maxsize=1024)
def compile_module(text: str, purpose: Purpose) -> RegoModule:
    """Look through the text of a module.

    Raises:
        RegoSyntaxError: it cannot be used; the error says where and why.
    """
    source = read_source(text, *purpose)
    return RegoModule(text, purpose, source.reads, not VOLATILE.isdisjoint(source.calls))


def plain(value: object) -> object:
    """JSON data of conditions with whole numbers as such: there are only doubles in it."""
    kind = type(value)
    if kind is dict:
        return {name: plain(item) for name, item in value.items()}  # type: ignore[attr-defined]
    if kind is list:
        return [plain(item) for item in value]  # type: ignore[attr-defined]  # a list
    if kind is float and -_MAX_WHOLE < value < _MAX_WHOLE and value.is_integer():  # type: ignore[operator,attr-defined]
        return int(value)  # type: ignore[call-overload]  # a float
    return value


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", str: "a string", list: "an array"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")
