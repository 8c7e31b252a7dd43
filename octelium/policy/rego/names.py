"""Which names stand where: what bodies declare, and what they mention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.policy.rego import ast, tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def declared(body: ast.Body) -> Iterator[tuple[str, int]]:
    """What the statements of a body declare, without bodies within them."""
    for statement in body:
        match statement.expression:
            case ast.Unify(left=left, declares=True):
                yield from dict(pattern_names([left])).items()
            case ast.Some(names=names):
                yield from ((name, statement.line) for name in names)
            case ast.SomeIn(key=key, value=value):
                patterns = [value] if key is None else [key, value]
                yield from dict(pattern_names(patterns)).items()


def pattern_names(terms: Iterable[ast.Term]) -> Iterator[tuple[str, int]]:
    """The variables of patterns: those that stand for a whole value, or for a member of one."""
    for term in terms:
        match term:
            case ast.Var(name=name, line=line) if name != ast.WILDCARD:
                yield name, line
            case ast.ArrayTerm(items=items):
                yield from pattern_names(items)
            case ast.ObjectTerm(pairs=pairs):
                yield from pattern_names(value for _, value in pairs)


def direct_names(body: ast.Body, heads: tuple[ast.Term, ...]) -> Iterator[tuple[str, int]]:
    """The names that stand in a body itself, not in bodies within it."""
    for statement in body:
        yield from names_of(statement.expression)
        for modifier in statement.modifiers:
            yield from names_of(modifier.value)
    for head in heads:
        yield from names_of(head)


def names_of(node: object) -> Iterator[tuple[str, int]]:
    """The names in an expression or term, without bodies within it."""
    match node:
        case ast.Var(name=name, line=line):
            yield name, line
        case ast.Comprehension():
            return
        case ast.Every(domain=domain):
            yield from names_of(domain)
        case ast.Ref(head=head, path=path):
            for part in (head, *path):
                yield from names_of(part)
        case ast.Call(args=items) | ast.ArrayTerm(items=items) | ast.SetTerm(items=items):
            for item in items:
                yield from names_of(item)
        case ast.ObjectTerm(pairs=pairs):
            for key, value in pairs:
                yield from names_of(key)
                yield from names_of(value)
        case ast.Test(term=term) | ast.Not(literal=term):
            yield from names_of(term)
        case ast.Unify(left=left, right=right):
            yield from names_of(left)
            yield from names_of(right)
        case ast.SomeIn(key=key, value=value, domain=domain):
            for part in (key, value, domain):
                yield from names_of(part)


def slots_of(node: object) -> Iterator[int]:
    """Every variable that stands anywhere in `node`."""
    match node:
        case tree.Local(slot=slot):
            yield slot
        case tuple():
            for item in node:
                yield from slots_of(item)
        case tree.Lookup(head=head, path=path):
            yield from slots_of(head)
            yield from slots_of(path)
        case tree.BuiltinCall(args=args) | tree.FunctionCall(args=args):
            yield from slots_of(args)
        case tree.Collection(keys=keys, items=items):
            yield from slots_of(keys)
            yield from slots_of(items)
        case tree.Closure(free=free) | tree.Every(free=free):
            yield from free
            if isinstance(node, tree.Every):
                yield from slots_of(node.domain)
        case tree.Statement(expression=expression, modifiers=modifiers):
            yield from slots_of(expression)
            yield from (slot for each in modifiers for slot in slots_of(each.value))
        case tree.Test(term=inner) | tree.Not(inner=inner):
            yield from slots_of(inner)
        case tree.Unify(left=left, right=right):
            yield from slots_of(left)
            yield from slots_of(right)
        case tree.Iterate(key=key, value=value, domain=domain):
            for part in (key, value, domain):
                yield from slots_of(part)
