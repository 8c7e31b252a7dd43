"""What the names of a module mean.

A variable belongs to the body that declares it (`:=`, `some`, `every`, an argument), else to the
outermost body in which it stands; a body within another sees the variables around it. Names that
mean nothing are refused, so that a slip of the pen is no silent `undefined`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.rego import ast, tree
from octelium.policy.rego.builtins import refusal
from octelium.policy.rego.functions import FUNCTIONS
from octelium.policy.rego.functions.regexes import PATTERN_ARGUMENT, pattern
from octelium.policy.rego.names import declared, direct_names, pattern_names, slots_of
from octelium.policy.rego.needed import RegoBudgetError, RegoError
from octelium.policy.rego.rulebook import Rulebook, refuse_cycles
from octelium.policy.rego.tokens import RegoSyntaxError
from octelium.policy.rego.values import Meter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.policy.cel.reads import Path
    from octelium.policy.rego.tree import RulePath

FIRST_SLOT: Final = 2
"""Slots before it: the evaluation, and what a clause has found."""
MAX_SLOTS: Final = 4000


class _Scope:
    """The variables of a body."""

    def __init__(self, parent: _Scope | None, counter: list[int]) -> None:
        self.parent = parent
        self.counter = counter
        self.slots: dict[str, int] = {}
        self.later: set[str] = set()
        """Names that the body declares further down."""

    def find(self, name: str) -> int | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.slots:
                return scope.slots[name]
            scope = scope.parent
        return None

    def declared_later(self, name: str) -> bool:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.later:
                return True
            if name in scope.slots:
                return False
            scope = scope.parent
        return False

    def fresh(self, line: int) -> int:
        slot = self.counter[0]
        if slot >= MAX_SLOTS:
            raise RegoSyntaxError(line, f"a rule has more than {MAX_SLOTS} variables")
        self.counter[0] = slot + 1
        return slot

    def add(self, name: str, line: int) -> int:
        self.slots[name] = slot = self.fresh(line)
        return slot


class Resolver:
    """Resolves one module."""

    def __init__(self, module: ast.Module, meter: Meter | None = None) -> None:
        """`meter` is charged for the patterns that stand in the module."""
        self._module = module
        self._meter = Meter() if meter is None else meter
        self.book = Rulebook(module.rules)
        self.reads: set[Path] = set()
        """Where the module looks below `input`."""
        self.called: set[str] = set()
        """Functions of the language that it calls."""
        self._calls: set[RulePath] = set()
        for name in module.imports:
            if self.book.is_rule(name):
                raise RegoSyntaxError(1, f"{name} is both imported and a rule")

    def groups(self) -> dict[RulePath, tree.Group]:
        """Every rule of the module.

        Raises:
            RegoSyntaxError: a name means nothing, or a rule depends on itself.
            RegoBudgetError: the patterns take more than may be charged.
        """
        groups = {path: self._group(path, rules) for path, rules in self.book.rules.items()}
        lines = {path: rules[0].line for path, rules in self.book.rules.items()}
        refuse_cycles({path: sorted(group.calls) for path, group in groups.items()}, lines)
        return groups

    def _group(self, path: RulePath, rules: list[ast.Rule]) -> tree.Group:
        self._calls = set()
        kind = self.book.kind(path)
        assert kind is not None
        definitions = tuple(self._definition(rule) for rule in rules)
        arity = len(rules[0].args or ())
        return tree.Group(path, kind, arity, definitions, frozenset(self._calls))

    def _definition(self, rule: ast.Rule) -> tree.Definition:
        if rule.name in ("input", "data") or rule.path[0] in ("input", "data"):
            raise RegoSyntaxError(rule.line, f"a rule cannot be called {rule.path[0]}")
        clauses = tuple(self._clause(rule, clause) for clause in rule.clauses)
        return tree.Definition(clauses, rule.is_default, rule.line)

    def _clause(self, rule: ast.Rule, clause: ast.Clause) -> tree.Clause:
        scope = _Scope(None, [FIRST_SLOT])
        patterns: list[tree.Term] = []
        if rule.args is not None:
            for name, line in pattern_names(rule.args):
                if scope.find(name) is None:
                    scope.add(name, line)
            patterns = [self._term(arg, scope) for arg in rule.args]
            for name, line in declared(clause.body):
                if name in scope.slots:
                    raise RegoSyntaxError(line, f"{name} is an argument, and declared again")
        inner = _Scope(scope, scope.counter)
        body = self._body(clause.body, inner, (*rule.keys, clause.value))
        keys = self._terms(rule.keys, inner)
        value = self._term(clause.value, inner)
        slots = scope.counter[0]
        return tree.Clause(keys, value, body, rule.element, tuple(patterns), slots)

    # --- bodies

    def _body(self, body: ast.Body, scope: _Scope, heads: tuple[ast.Term, ...]) -> tree.Body:
        for name, line in declared(body):
            if name in scope.later:
                raise RegoSyntaxError(line, f"{name} is declared twice")
            scope.later.add(name)
        for name, line in direct_names(body, heads):
            if name not in scope.later and self._is_variable(name, scope):
                scope.add(name, line)
        found = [self._statement(statement, scope) for statement in body]
        return tuple(statement for statement in found if statement is not None)

    def _is_variable(self, name: str, scope: _Scope) -> bool:
        """Whether a name that nothing declares is a variable of this body."""
        return (
            name not in ("input", "data", ast.WILDCARD)
            and scope.find(name) is None
            and not scope.declared_later(name)
            and name not in self._module.imports
            and not self.book.is_rule(name)
        )

    def _declare(self, terms: Iterable[ast.Term], scope: _Scope) -> None:
        for name, line in pattern_names(terms):
            if name in ("input", "data"):
                raise RegoSyntaxError(line, f"{name} cannot be declared")
            if name in scope.later:
                scope.later.discard(name)
                scope.add(name, line)

    def _statement(self, statement: ast.Statement, scope: _Scope) -> tree.Statement | None:
        expression = statement.expression
        modifiers = tuple(
            tree.With(each.path, self._term(each.value, scope)) for each in statement.modifiers
        )
        made: tree.Test | tree.Unify | tree.Iterate | tree.Every | tree.Not
        match expression:
            case ast.Some(names=names):
                self._declare([ast.Var(name, statement.line) for name in names], scope)
                return None
            case ast.SomeIn(key=key, value=value, domain=domain):
                source = self._term(domain, scope)
                patterns = [value] if key is None else [key, value]
                self._declare(patterns, scope)
                terms = [self._term(pattern, scope) for pattern in patterns]
                made = tree.Iterate(None if key is None else terms[0], terms[-1], source)
            case ast.Not(literal=literal):
                if isinstance(literal, ast.Unify) and literal.declares:
                    raise RegoSyntaxError(statement.line, "not cannot declare a variable")
                made = tree.Not(self._plain(literal, scope))
            case _:
                made = self._plain(expression, scope)
        return tree.Statement(made, modifiers, statement.line)

    def _plain(
        self, expression: ast.Test | ast.Unify | ast.Every, scope: _Scope
    ) -> tree.Test | tree.Unify | tree.Every:
        match expression:
            case ast.Test(term=term):
                return tree.Test(self._term(term, scope))
            case ast.Unify(left=left, right=right, declares=declares):
                value = self._term(right, scope)
                if declares:
                    self._declare([left], scope)
                return tree.Unify(self._term(left, scope), value)
            case ast.Every(key=key, value=value, domain=domain, body=body):
                source = self._term(domain, scope)
                inner = _Scope(scope, scope.counter)
                first = scope.counter[0]
                names = [None if key is None else self._loop_name(key, inner, body)]
                item = self._loop_name(value, inner, body)
                within = _Scope(inner, inner.counter)
                resolved = self._body(body, within, ())
                free = frozenset(slot for slot in slots_of(resolved) if slot < first)
                return tree.Every(names[0], item, source, resolved, free)

    @staticmethod
    def _loop_name(name: str, scope: _Scope, body: ast.Body) -> tree.Local:
        line = body[0].line
        slot = scope.fresh(line) if name == ast.WILDCARD else scope.add(name, line)
        return tree.Local(slot, name, line)

    # --- terms

    def _term(self, term: ast.Term, scope: _Scope) -> tree.Term:
        match term:
            case ast.Scalar(value=value):
                return tree.Const(value)
            case ast.Var():
                return self._var(term, scope)
            case ast.Ref():
                return self._ref(term, scope)
            case ast.Call():
                return self._call(term, scope)
            case ast.ArrayTerm(items=items, line=line):
                return tree.Collection("array", (), self._terms(items, scope), line)
            case ast.SetTerm(items=items, line=line):
                return tree.Collection("set", (), self._terms(items, scope), line)
            case ast.ObjectTerm(pairs=pairs, line=line):
                keys = self._terms((key for key, _ in pairs), scope)
                values = self._terms((value for _, value in pairs), scope)
                return tree.Collection("object", keys, values, line)
            case ast.Comprehension():
                return self._comprehension(term, scope)

    def _terms(self, terms: Iterable[ast.Term], scope: _Scope) -> tuple[tree.Term, ...]:
        return tuple(self._term(term, scope) for term in terms)

    def _comprehension(self, term: ast.Comprehension, scope: _Scope) -> tree.Closure:
        first = scope.counter[0]
        inner = _Scope(scope, scope.counter)
        heads = (term.value,) if term.key is None else (term.key, term.value)
        body = self._body(term.body, inner, heads)
        key = None if term.key is None else self._term(term.key, inner)
        value = self._term(term.value, inner)
        used = {*slots_of(body), *slots_of(value), *slots_of(key)}
        free = frozenset(slot for slot in used if slot < first)
        return tree.Closure(term.kind, key, value, body, free, term.line)

    def _var(self, var: ast.Var, scope: _Scope) -> tree.Term:
        name = var.name
        if name == ast.WILDCARD:
            return tree.Local(scope.fresh(var.line), name, var.line)
        if scope.declared_later(name):
            raise RegoSyntaxError(var.line, f"{name} is used before it is declared")
        slot = scope.find(name)
        if slot is not None:
            return tree.Local(slot, name, var.line)
        if name == "input":
            self.reads.add(())
            return tree.Input()
        if name in self._module.imports:
            return self._term(self._module.imports[name], scope)
        if name == "data":
            raise RegoSyntaxError(var.line, "data holds nothing but the module's own rules")
        if self.book.is_rule(name):
            return self._rule((name,), var.line)
        raise RegoSyntaxError(var.line, f"{name} is unsafe: nothing gives it a value")

    def _rule(self, path: RulePath, line: int) -> tree.RuleValue:
        if self.book.kind(path) == "function":
            raise RegoSyntaxError(line, f"{'.'.join(path)} is a function: call it")
        self._calls.update(self.book.below(path))
        return tree.RuleValue(path)

    def _ref(self, ref: ast.Ref, scope: _Scope) -> tree.Term:
        head, path, line = ref.head, ref.path, ref.line
        if isinstance(head, ast.Var) and scope.find(head.name) is None:
            imported = self._module.imports.get(head.name)
            if imported is not None and not scope.declared_later(head.name):
                if isinstance(imported, ast.Ref):
                    head, path = imported.head, (*imported.path, *path)
                else:
                    head = imported
        if not isinstance(head, ast.Var) or scope.find(head.name) is not None:
            return tree.Lookup(self._term(head, scope), self._terms(path, scope), line)
        if head.name == "input":
            self.reads.add(_constants(path))
            return tree.Lookup(tree.Input(), self._terms(path, scope), line)
        names = (head.name, *_constants(path))
        if head.name == "data":
            names = self._own(names, line)
            path = path[len(self._module.package) + 1 :]
        if not self.book.is_rule(names[0]) or scope.declared_later(head.name):
            return tree.Lookup(self._term(head, scope), self._terms(path, scope), line)
        prefix = self.book.prefix(names)
        rest = self._terms(path[len(prefix) - 1 :], scope)
        value = self._rule(prefix, line)
        return tree.Lookup(value, rest, line) if rest else value

    def _own(self, names: tuple[str, ...], line: int) -> tuple[str, ...]:
        """The path of a rule of this module behind `data`."""
        package = ("data", *self._module.package)
        rest = names[len(package) :]
        if names[: len(package)] != package or not rest or not self.book.is_rule(rest[0]):
            raise RegoSyntaxError(line, "data holds nothing but the module's own rules")
        return rest

    def _call(self, call: ast.Call, scope: _Scope) -> tree.Term:
        names, line = call.name, call.line
        if names[0] == "data":
            names = self._own(names, line)
        name = ".".join(names)
        args = self._terms(call.args, scope)
        if self.book.kind(names) == "function":
            self._calls.add(names)
            wanted = len(self.book.rules[names][0].args or ())
            _check_count(name, wanted, args, line)
            return tree.FunctionCall(names, args, line)
        problem = refusal(name)
        if any("." in part for part in names):
            problem = f"{name} may not be called: a part of its name has a dot in it"
        if problem is not None:
            raise RegoSyntaxError(line, problem)
        self.called.add(name)
        function, wanted = FUNCTIONS[name]
        _check_count(name, wanted, args, line)
        self._check_pattern(name, args, line)
        return tree.BuiltinCall(name, function, args, line)

    def _check_pattern(self, name: str, args: tuple[tree.Term, ...], line: int) -> None:
        index = PATTERN_ARGUMENT.get(name)
        if index is None:
            return
        given = args[index]
        if isinstance(given, tree.Const) and type(given.value) is str:
            try:
                pattern(given.value, self._meter)
            except RegoBudgetError:
                raise
            except RegoError as error:
                raise RegoSyntaxError(line, f"{name}: {error}") from None


def _check_count(name: str, wanted: int, args: tuple[tree.Term, ...], line: int) -> None:
    if len(args) != wanted:
        plural = "" if wanted == 1 else "s"
        raise RegoSyntaxError(line, f"{name} takes {wanted} argument{plural}, not {len(args)}")


def _constants(path: tuple[ast.Term, ...]) -> tuple[str, ...]:
    """The constant strings that a path begins with."""
    found: list[str] = []
    for step in path:
        if not isinstance(step, ast.Scalar) or type(step.value) is not str:
            break
        found.append(step.value)
    return tuple(found)
