"""Parsing and type-checking with Google's C++ implementation.

The environment knows the variables `ctx` and `attrs`, both of any type, the standard library, the
extensions strings, math, encoders and bindings, and Octelium's own functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from octelium.policy.cel.ast import Node, decode
from octelium.policy.cel.errors import CompileError

MAX_LENGTH: Final = 10_000
"""Characters of an expression."""

VARIABLES: Final = ("ctx", "attrs")

_POSITION: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_ASSIGNMENT: Final = re.compile(r"token recognition error at: '=(?![=>])")
_COMPARABLE: Final = (
    "INT",
    "UINT",
    "DOUBLE",
    "BOOL",
    "DURATION",
    "TIMESTAMP",
    "STRING",
    "BYTES",
)
"""Types of the elements of lists that have a least and a greatest one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A text that parsed and type-checked."""

    text: str
    root: Node
    type: str
    """The checker's name of the result's type; `DYN` when only an evaluation can tell."""


def check(text: str, variables: tuple[str, ...] = VARIABLES, *, types: bool = True) -> Checked:
    """Parse an expression and, unless `types` is False, check its names and types.

    Raises:
        CompileError: it is blank, too long, or wrong; the text says where.
    """
    if not text.strip():
        raise CompileError("the expression is empty")
    if len(text) > MAX_LENGTH:
        raise CompileError(
            f"the expression has {len(text)} characters, more than the {MAX_LENGTH} allowed"
        )
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise CompileError("the expression holds half a surrogate pair, which is no character")
    try:
        compiled = environment(variables).compile(text, disable_check=not types)
        result_type = compiled.return_type().name() if types else "DYN"
    except (RuntimeError, ValueError) as error:
        problem = _readable(str(error))
        if _ASSIGNMENT.search(problem):
            problem += "; did you mean ==?"
        raise CompileError(problem) from None
    return Checked(text, decode(compiled.serialize()), result_type)


@lru_cache(maxsize=16)
def environment(variables: tuple[str, ...] = VARIABLES) -> Any:
    """The C++ environment in which `variables` are declared with any type."""
    # Some 16 MB of machine code, which a process without expressions can do without.
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_strings

    return cel.NewEnv(
        variables=dict.fromkeys(variables, cel.Type.DYN),
        extensions=[
            ext_strings.ExtStrings(),
            ext_math.ExtMath(),
            ext_encoders.ExtEncoders(),
            ext_bindings.ExtBindings(),
        ],
        functions=_declarations(cel),
    )


def _declarations(cel: Any) -> list[Any]:
    """Octelium's own functions."""
    types = cel.Type
    text, flag, instant, items = types.STRING, types.BOOL, types.TIMESTAMP, types.LIST

    def function(name: str, result: Any, *parameters: Any, member: bool = False) -> Any:
        overload = cel.Overload(name.replace(".", "_").lower(), result, list(parameters), member)
        return cel.FunctionDecl(name, [overload])

    def extreme(name: str) -> Any:
        overloads = []
        for kind in _COMPARABLE:
            item = getattr(types, kind)
            identifier = f"list_{kind.lower()}_{name}"
            overloads.append(cel.Overload(identifier, item, [types.List(item)], True))
        return cel.FunctionDecl(name, overloads)

    return [
        function("now", instant),
        function("json.parse", types.Map(text, types.DYN), text),
        function("json.marshal", text, types.DYN),
        function("net.isIP", flag, text),
        function("net.isIPv4", flag, text),
        function("net.isIPv6", flag, text),
        function("net.isPrivateIP", flag, text),
        function("net.isIPInRange", flag, text, text),
        function("time.isWeekday", flag, instant),
        function("time.isWeekend", flag, instant),
        function("time.isWeekdayInTZ", flag, instant, text),
        function("time.isWeekendInTZ", flag, instant, text),
        function("hasAny", flag, items, items, member=True),
        function("hasAll", flag, items, items, member=True),
        function("toLower", text, text, member=True),
        function("toUpper", text, text, member=True),
        extreme("min"),
        extreme("max"),
    ]


def _readable(message: str) -> str:
    """The first complaint of the C++ parser, with its line and column."""
    if "recursion" in message:
        return "the expression is nested more than 32 levels deep"
    if match := _POSITION.search(message):
        line, column, problem = match.groups()
        problem = problem.removesuffix("[INVALID_ARGUMENT]").strip()
        return problem if int(line) < 1 else f"line {line}, column {column}: {problem}"
    return message.split("\n", 1)[0]
