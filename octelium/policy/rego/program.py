"""A compiled module: its rules as functions, and their evaluation.

All definitions of a rule hold together: those of one value must agree, those of sets and objects
add up. The value of a rule is found once per evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego import tree
from octelium.policy.rego.compiler import Compiler
from octelium.policy.rego.members import Members
from octelium.policy.rego.needed import UNDEFINED, RegoBudgetError, RegoError
from octelium.policy.rego.parser import parse
from octelium.policy.rego.resolver import Resolver
from octelium.policy.rego.steps import EVALUATION, FOUND, chain
from octelium.policy.rego.tokens import RegoSyntaxError
from octelium.policy.rego.values import Meter, Object, Set, from_json, sized, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.cel.reads import Path
    from octelium.policy.rego.steps import Frame, Getter, Matcher, Run
    from octelium.policy.rego.tree import RulePath

    _Keeper = Callable[[list[Getter], Getter], Run]
    """Makes the end of a clause of closures for its keys and its value."""

_CALL: Final = 2
"""What evaluating a rule or a function costs besides its iterations."""


class Program:
    """A module of one package and the rule that its result is taken from."""

    def __init__(self, text: str, package: str, rule: str, meter: Meter | None = None) -> None:
        """Compile. `meter` is charged for the patterns that stand in the text.

        Raises:
            RegoSyntaxError: the text cannot be used; the error says where and why.
            RegoBudgetError: the patterns take more than `meter` allows.
        """
        try:
            module = parse(text, tuple(package.split(".")))
            resolver = Resolver(module, meter)
            groups = resolver.groups()
            self._rules = {path: _Rule(group) for path, group in groups.items()}
        except RecursionError:
            raise RegoSyntaxError(1, "the module is nested too deeply") from None
        self._decision = (rule,)
        book = resolver.book
        self._below = {path: tuple(book.below(path)) for path in book.prefixes()}
        kind = book.kind(self._decision)
        if kind in ("set", "function"):
            raise RegoSyntaxError(1, f"{rule} is a {kind}: no decision can be taken from it")
        if self._decision not in self._below or not self._below[self._decision]:
            raise RegoSyntaxError(1, f"no rule defines {rule}, which the decision is taken from")
        self.calls = frozenset(resolver.called)
        """Functions of the language that the module calls anywhere."""
        self.input_paths: frozenset[Path] = frozenset(resolver.reads)
        """Where it looks below `input`; a path means all below it, too."""

    def evaluate(self, document: Any, meter: Meter) -> Any:
        """The result in JSON form for an input document in JSON form, or `UNDEFINED`.

        Raises:
            RegoBudgetError: it takes more than `meter` allows.
            RegoError: the evaluation failed.
        """
        try:
            with meter:
                value = _Evaluation(self, from_json(document, meter), meter).rule(self._decision)
                return value if value is UNDEFINED else to_json(value)
        except RegoError:
            raise
        except RecursionError:
            raise RegoBudgetError("the evaluation goes too deep") from None
        except MemoryError:
            raise RegoBudgetError("the evaluation takes more memory than it may") from None
        except Exception as error:
            problem = f"evaluation failed: {type(error).__name__}: {error}"
            raise RegoError(problem[:300]) from error

    def rule(self, evaluation: _Evaluation, path: RulePath) -> Any:
        """What the rules at a path, and those below it, define."""
        below = self._below[path]
        if below == (path,):
            return self._rules[path].value(evaluation)
        result: Any = UNDEFINED
        for each in below:
            value = evaluation.rule(each) if each != path else self._rules[path].value(evaluation)
            if value is not UNDEFINED:
                result = _merged(result, _nested(each[len(path) :], value), each)
        return Object() if result is UNDEFINED else sized(result)

    def call(self, evaluation: _Evaluation, path: RulePath, args: list[Any]) -> Any:
        """What a function results in."""
        return self._rules[path].called(evaluation, args)


class _Evaluation:
    """One evaluation with one input; see `steps.Evaluation`."""

    __slots__ = ("_cache", "_program", "document", "meter")

    def __init__(self, program: Program, document: Any, meter: Meter) -> None:
        self._program = program
        self.document = document
        self.meter = meter
        self._cache: dict[RulePath, Any] = {}

    def rule(self, path: RulePath) -> Any:
        value = self._cache.get(path, _UNKNOWN)
        if value is _UNKNOWN:
            self.meter.charge(_CALL)
            value = self._cache[path] = self._program.rule(self, path)
        return value

    def call(self, path: RulePath, args: list[Any]) -> Any:
        self.meter.charge(_CALL)
        return self._program.call(self, path, args)

    def replaced(self, path: tuple[str, ...], value: Any) -> _Evaluation:
        document = sized(_put(self.document, path, value))
        return _Evaluation(self._program, document, self.meter)


_UNKNOWN: Final = object()


def _put(document: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    copy = Object(document) if type(document) is Object else Object()
    copy[path[0]] = _put(copy.get(path[0]), path[1:], value)
    return copy


def _nested(path: RulePath, value: Any) -> Any:
    for name in reversed(path):
        value = Object({name: value})
    return value


def _merged(left: Any, right: Any, path: RulePath) -> Any:
    if left is UNDEFINED or left == right:
        return right
    if type(left) is Object and type(right) is Object:
        result = Object(left)
        for key, value in right.items():
            result[key] = _merged(result.get(key, UNDEFINED), value, path)
        return result
    raise RegoError(f"rule {'.'.join(path)} and others define different values for one key")


# --- rules


class _Clause:
    """One clause: what it takes, what it tries, what then holds."""

    __slots__ = ("arguments", "cost", "run", "slots")

    def __init__(self, clause: tree.Clause, keep: _Keeper) -> None:
        compiler = Compiler(clause.slots)
        bound: set[int] = set()
        self.arguments: list[Matcher] = compiler.arguments(clause.patterns, bound)
        steps = compiler.body(clause.body, bound)
        *keys, value = compiler.terms((*clause.keys, clause.value), bound, steps)
        self.run: Run = chain(steps, keep(keys, value))
        self.slots = compiler.slots
        self.cost = compiler.cost[0]

    def frame(self, evaluation: _Evaluation, found: Any) -> Frame:
        frame: Frame = [None] * self.slots
        frame[EVALUATION], frame[FOUND] = evaluation, found
        return frame


class _Rule:
    """All definitions of a path."""

    def __init__(self, group: tree.Group) -> None:
        self.name = group.name
        self._start: Callable[[], Any] = _STARTS.get(group.kind, _undefined)
        keep = _KEEPERS.get(group.kind, _keep_value)
        self.definitions: list[list[_Clause]] = []
        self.default: list[_Clause] = []
        for definition in group.definitions:
            clauses = [_Clause(each, keep(self.name, each)) for each in definition.clauses]
            if definition.is_default:
                self.default = clauses
            else:
                self.definitions.append(clauses)

    def value(self, evaluation: _Evaluation) -> Any:
        """What the definitions come to, together."""
        found = self._start()
        if found is not UNDEFINED:
            for clauses in self.definitions:
                evaluation.meter.charge(clauses[0].cost)
                clauses[0].run(clauses[0].frame(evaluation, found))
            return sized(found.root if type(found) is Members else found)
        for clauses in self.definitions:
            found = self._first(clauses, evaluation, None, found)
        if found is UNDEFINED and self.default:
            found = self._first(self.default, evaluation, None, found)
        return found

    def called(self, evaluation: _Evaluation, args: list[Any]) -> Any:
        """What the definitions that take `args` come to."""
        found: Any = UNDEFINED
        for clauses in self.definitions:
            found = self._first(clauses, evaluation, args, found)
        if found is UNDEFINED and self.default:
            found = self._first(self.default, evaluation, args, found)
        return found

    def _first(
        self, clauses: list[_Clause], evaluation: _Evaluation, args: list[Any] | None, found: Any
    ) -> Any:
        """The value of the first clause that has one, which must be `found` if that is defined."""
        for clause in clauses:
            frame = clause.frame(evaluation, UNDEFINED)
            evaluation.meter.charge(clause.cost)
            if args is not None and not all(
                pattern(frame, arg) for pattern, arg in zip(clause.arguments, args, strict=True)
            ):
                return found
            clause.run(frame)
            value = frame[FOUND]
            if value is not UNDEFINED:
                if found is not UNDEFINED and found != value:
                    raise RegoError(f"rule {self.name} comes to different values")
                return value
        return found


def _undefined() -> Any:
    return UNDEFINED


_STARTS: Final[dict[str, Callable[[], Any]]] = {"set": Set, "object": Members}


def _keep_value(name: str, clause: tree.Clause) -> _Keeper:
    is_constant = isinstance(clause.value, tree.Const)

    def keep(_keys: list[Getter], value: Getter) -> Run:
        def run(frame: Frame) -> bool:
            found = value(frame)
            known = frame[FOUND]
            if found is UNDEFINED:
                return False
            if known is not UNDEFINED and known != found:
                raise RegoError(f"rule {name} comes to different values")
            frame[FOUND] = found
            return is_constant

        return run

    return keep


def _keep_element(_name: str, _clause: tree.Clause) -> _Keeper:
    def keep(_keys: list[Getter], value: Getter) -> Run:
        def run(frame: Frame) -> bool:
            found = value(frame)
            if found is not UNDEFINED:
                frame[FOUND].add(found)
            return False

        return run

    return keep


def _keep_member(name: str, clause: tree.Clause) -> _Keeper:
    is_element = clause.element

    def keep(keys: list[Getter], value: Getter) -> Run:
        def run(frame: Frame) -> bool:
            path = [key(frame) for key in keys]
            found = value(frame)
            if found is UNDEFINED or any(key is UNDEFINED for key in path):
                return False
            if not frame[FOUND].put(path, found, is_element=is_element):
                raise RegoError(f"rule {name} gives one key different values")
            return False

        return run

    return keep


_KEEPERS: Final = {"set": _keep_element, "object": _keep_member}
