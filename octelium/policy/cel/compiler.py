"""From a checked tree to Python closures.

A closure takes the evaluation's frame (`values.Frame`) and returns a value or raises. Variables
are slots of the frame, so nothing is looked up by name while evaluating. Forms that policies are
made of (paths into `ctx`, comparison with a literal, `in` a list of literals) have closures of
their own; everything else goes through the function registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, Fold, Ident, ListNode, MapNode, Node, Select
from octelium.policy.cel.errors import (
    CelError,
    CompileError,
    MissingDataError,
    MissingKeyError,
)
from octelium.policy.cel.folds import Slot, compile_bind, compile_fold, is_bind
from octelium.policy.cel.functions import FUNCTIONS
from octelium.policy.cel.functions.standard import pattern
from octelium.policy.cel.logic import combine
from octelium.policy.cel.operators import BINARY, negate
from octelium.policy.cel.paths import slot_path, walk
from octelium.policy.cel.values import (
    ATTRS,
    CTX,
    LOCALS,
    MAX_SLOTS,
    TYPE_NAMES,
    Frame,
    contains,
    equal,
    lookup_key,
    map_key,
    no_overload,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Closure = Callable[[Frame], object]

_FOLDED: Final = frozenset({"timestamp", "duration"})
"""Functions that are called at once when their argument is a literal."""
_FOLDING: Final[Frame] = [None, None, 1000, None]
"""A frame for that, with enough of a budget for any text that they take."""


class Scope:
    """Which slot each variable has; grows inwards.

    With `lenient`, for trees that were not checked, an unknown name or function is an error of the
    evaluation, which may be absorbed, and not of the compilation.
    """

    __slots__ = ("_names", "_next", "lenient")

    def __init__(self, names: Mapping[str, Slot], following: int, *, lenient: bool = False) -> None:
        self._names = dict(names)
        self._next = following
        self.lenient = lenient

    def find(self, name: str) -> Slot | None:
        """The slot of a variable, or None if there is no such variable."""
        return self._names.get(name)

    def bind(self, name: str, *, lazy: bool = False) -> tuple[Scope, Slot]:
        """A scope with one more variable; a `lazy` one may hold an error.

        Raises:
            CompileError: too many variables.
        """
        if self._next >= LOCALS + MAX_SLOTS:
            raise CompileError(f"more than {MAX_SLOTS} variables are nested")
        slot = Slot(self._next, lazy)
        names = {**self._names, name: slot}
        return Scope(names, self._next + 1, lenient=self.lenient), slot


POLICY_SCOPE: Final = Scope(
    {"ctx": Slot(CTX, lazy=False), "attrs": Slot(ATTRS, lazy=False)}, LOCALS
)


def compile_node(node: Node, scope: Scope = POLICY_SCOPE) -> Closure:
    """The closure that evaluates `node`.

    Raises:
        CompileError: it calls an unknown function, names an unknown variable, or has a part that
            cannot be right whatever the data, such as an invalid regular expression.
    """
    match node:
        case Const(value=value):
            return lambda _frame: value
        case Ident():
            return _compile_ident(node, scope)
        case Select():
            return _compile_select(node, scope)
        case Call():
            return _compile_call(node, scope)
        case ListNode(items=items):
            return _compile_list(items, scope)
        case MapNode(entries=entries):
            return _compile_map(entries, scope)
        case Fold():
            if is_bind(node):
                return compile_bind(node, scope, compile_node)
            return compile_fold(node, scope, compile_node)


# --- variables and paths


def _compile_ident(node: Ident, scope: Scope) -> Closure:
    slot = scope.find(node.name)
    if slot is None:
        cel_type = TYPE_NAMES.get(node.name)
        if cel_type is None:
            return _undeclared(f"undeclared reference to {node.name!r}", scope)
        return lambda _frame: cel_type
    return slot.read() if slot.lazy or slot.index == ATTRS else slot.read_plain()


def _undeclared(problem: str, scope: Scope) -> Closure:
    if not scope.lenient:
        raise CompileError(problem)

    def fail(_frame: Frame) -> object:
        raise CelError(problem)

    return fail


def _path(node: Node) -> tuple[Node, tuple[str, ...]]:
    fields: list[str] = []
    while isinstance(node, Select) and not node.test:
        fields.append(node.field)
        node = node.operand
    return node, tuple(reversed(fields))


def _compile_select(node: Select, scope: Scope) -> Closure:
    if node.test:
        return _compile_has(node, scope)
    qualified = _qualified(node)
    if qualified is not None and (slot := scope.find(qualified)) is not None:
        return slot.read()
    path = path_in(node, scope)
    if path is not None:
        return slot_path(*path)
    base, fields = _path(node)
    operand = compile_node(base, scope)

    def select(frame: Frame) -> object:
        return walk(operand(frame), fields)

    return select


def path_in(node: Node, scope: Scope) -> tuple[int, tuple[str, ...]] | None:
    """The slot and the names if `node` leads from a variable along fixed names, else None.

    A fixed index (`ctx.request.http.headers["x-team"]`) is such a name.
    """
    qualified = _qualified(node)
    if qualified is not None and scope.find(qualified) is not None:
        return None
    fields: list[str] = []
    while True:
        match node:
            case Select(operand=container, field=field, test=False):
                pass
            case Call("_[_]", None, (container, Const(value=str(field)))):
                pass
            case Ident(name=name) if fields:
                slot = scope.find(name)
                if slot is None or slot.lazy:
                    return None
                return slot.index, tuple(reversed(fields))
            case _:
                return None
        fields.append(field)
        node = container


def _qualified(node: Node) -> str | None:
    """`a.b.c` if the node is a chain of names: it may be the name of one variable."""
    base, fields = _path(node)
    return ".".join((base.name, *fields)) if isinstance(base, Ident) else None


def _compile_has(node: Select, scope: Scope) -> Closure:
    operand, field = compile_node(node.operand, scope), node.field

    def has(frame: Frame) -> bool:
        value = operand(frame)
        if isinstance(value, dict):
            return field in value
        if value is None:
            raise MissingDataError(f"no such field: {field}")
        raise CelError(f"a value of type {type_name(value)} has no field {field!r}")

    return has


# --- literals


def _compile_list(items: tuple[Node, ...], scope: Scope) -> Closure:
    if all(isinstance(item, Const) for item in items):
        constant = [item.value for item in items if isinstance(item, Const)]
        return lambda _frame: constant
    closures = [compile_node(item, scope) for item in items]
    return lambda frame: [closure(frame) for closure in closures]


def _compile_map(entries: tuple[tuple[Node, Node], ...], scope: Scope) -> Closure:
    closures = [(compile_node(key, scope), compile_node(value, scope)) for key, value in entries]

    def make(frame: Frame) -> dict[object, object]:
        made: dict[object, object] = {}
        for key_of, value_of in closures:
            key = map_key(key_of(frame))
            if key in made:
                raise CelError("a map literal has the same key twice")
            made[key] = value_of(frame)
        return made

    return make


# --- calls


def _compile_call(node: Call, scope: Scope) -> Closure:
    special = _SPECIAL.get(node.function)
    if special is not None and node.target is None:
        return special(node, scope)
    name, args = _resolve(node, scope)
    if name == "matches" and isinstance(args[-1], Const) and type(args[-1].value) is str:
        return _compile_matches(args[0], args[-1].value, scope)
    function = FUNCTIONS.get((name, len(args)))
    if function is None:
        return _undeclared(f"there is no function {name}() with {len(args)} arguments", scope)
    closures = [compile_node(arg, scope) for arg in args]
    if name in _FOLDED and isinstance(args[0], Const):
        try:
            constant = function([*_FOLDING], args[0].value)
        except CelError:
            constant = None  # the error belongs to the evaluation, where it may be absorbed
        if constant is not None:
            return lambda _frame: constant
    return _call(function, closures)


def _call(function: Callable[..., object], closures: list[Closure]) -> Closure:
    match closures:
        case []:
            return function
        case [first]:
            return lambda frame: function(frame, first(frame))
        case [first, second]:
            return lambda frame: function(frame, first(frame), second(frame))
    return lambda frame: function(frame, *[closure(frame) for closure in closures])


def _resolve(node: Call, scope: Scope) -> tuple[str, tuple[Node, ...]]:
    """Name and arguments; `math.ceil(x)` is no member call although it looks like one."""
    if node.target is None:
        return node.function, node.args
    prefix = _qualified(node.target)
    if prefix is not None and scope.find(prefix.split(".", 1)[0]) is None:
        name = f"{prefix}.{node.function}"
        if (name, len(node.args)) in FUNCTIONS:
            return name, node.args
    return node.function, (node.target, *node.args)


def _compile_matches(subject: Node, regex: str, scope: Scope) -> Closure:
    try:
        compiled = pattern(regex)
    except CelError as error:
        raise CompileError(str(error)) from None
    target = compile_node(subject, scope)

    def run(frame: Frame) -> object:
        text = target(frame)
        if type(text) is not str:
            raise no_overload("matches", text, regex)
        return compiled.search(frame, text)

    return run


def _compile_equal(node: Call, scope: Scope) -> Closure:
    left, right = node.args
    if isinstance(left, Const):
        left, right = right, left
    value = compile_node(left, scope)
    if isinstance(right, Const) and type(right.value) is str:
        text = right.value
        return lambda frame: value(frame) == text
    other = compile_node(right, scope)
    return lambda frame: equal(value(frame), other(frame), frame)


def _compile_unequal(node: Call, scope: Scope) -> Closure:
    same = _compile_equal(node, scope)
    return lambda frame: not same(frame)


def _compile_in(node: Call, scope: Scope) -> Closure:
    value = compile_node(node.args[0], scope)
    texts = texts_of(node.args[1])
    if texts is not None:

        def among(frame: Frame) -> bool:
            candidate = value(frame)
            return type(candidate) is str and candidate in texts

        return among
    container = compile_node(node.args[1], scope)
    return lambda frame: is_in(value(frame), container(frame), frame)


def texts_of(node: Node) -> frozenset[str] | None:
    """The elements of a list of nothing but literal texts, else None."""
    if not isinstance(node, ListNode) or not node.items:
        return None
    texts: set[str] = set()
    for item in node.items:
        if not isinstance(item, Const) or type(item.value) is not str:
            return None
        texts.add(item.value)
    return frozenset(texts)


def is_in(candidate: object, container: object, frame: Frame) -> bool:
    """`candidate in container`.

    Raises:
        CelError: the container is neither list nor map.
    """
    if type(container) is list:
        return contains(container, candidate, frame)
    if isinstance(container, dict):
        return lookup_key(candidate) in container
    raise no_overload("@in", candidate, container)


def _compile_index(node: Call, scope: Scope) -> Closure:
    path = path_in(node, scope)
    if path is not None:
        return slot_path(*path)
    container, position = (compile_node(arg, scope) for arg in node.args)

    def index(frame: Frame) -> object:
        where, key = container(frame), position(frame)
        if isinstance(where, dict):
            stored = lookup_key(key)
            if stored in where:
                return where[stored]
            raise MissingKeyError(key)
        if type(where) is list:
            return _element(where, key)
        if where is None:
            raise MissingDataError("no such key in null")
        raise no_overload("_[_]", where, key)

    return index


def _element(items: list[object], key: object) -> object:
    if type(key) is float and key.is_integer():
        key = int(key)
    if not isinstance(key, int) or type(key) is bool:
        raise no_overload("_[_]", items, key)
    if 0 <= key < len(items):
        return items[key]
    raise MissingDataError(f"index out of bounds: {int(key)}")


def _compile_not(node: Call, scope: Scope) -> Closure:
    value = compile_node(node.args[0], scope)

    def negated(frame: Frame) -> bool:
        result = value(frame)
        if result is True:
            return False
        if result is False:
            return True
        raise no_overload("!_", result)

    return negated


def _compile_minus(node: Call, scope: Scope) -> Closure:
    value = compile_node(node.args[0], scope)
    return lambda frame: negate(value(frame), frame)


def _compile_binary(node: Call, scope: Scope) -> Closure:
    function = BINARY[node.function]
    left, right = (compile_node(arg, scope) for arg in node.args)
    return lambda frame: function(left(frame), right(frame), frame)


def _compile_ternary(node: Call, scope: Scope) -> Closure:
    condition, yes, no = (compile_node(arg, scope) for arg in node.args)

    def choose(frame: Frame) -> object:
        chosen = condition(frame)
        if chosen is True:
            return yes(frame)
        if chosen is False:
            return no(frame)
        raise no_overload("_?_:_", chosen)

    return choose


def operands(node: Node, operator: str) -> list[Node]:
    """The leaves of a tree of one operator, from left to right."""
    if isinstance(node, Call) and node.function == operator and node.target is None:
        return [leaf for arg in node.args for leaf in operands(arg, operator)]
    return [node]


def _compile_logic(node: Call, scope: Scope) -> Closure:
    leaves = operands(node, node.function)
    return combine(node.function, [compile_node(leaf, scope) for leaf in leaves])


_SPECIAL: Final[dict[str, Callable[[Call, Scope], Closure]]] = {
    "_==_": _compile_equal,
    "_!=_": _compile_unequal,
    "@in": _compile_in,
    "_[_]": _compile_index,
    "!_": _compile_not,
    "-_": _compile_minus,
    "_?_:_": _compile_ternary,
    "_&&_": _compile_logic,
    "_||_": _compile_logic,
    **dict.fromkeys(BINARY, _compile_binary),
}
