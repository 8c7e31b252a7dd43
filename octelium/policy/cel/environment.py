"""Parsing and type-checking with Google's C++ implementation.

The environment knows the variables `ctx` and `attrs`, both of any type, the standard library, the
extensions strings, math, encoders and bindings, and Octelium's own functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_strings

from octelium.policy.cel.ast import Node, decode
from octelium.policy.cel.errors import CompileError

MAX_LENGTH: Final = 10_000
"""Characters of an expression."""

VARIABLES: Final = ("ctx", "attrs")

_T: Any = cel.Type
_POSITION: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_COLLECTIONS: Final = (
    ("int", _T.INT),
    ("uint", _T.UINT),
    ("double", _T.DOUBLE),
    ("bool", _T.BOOL),
    ("duration", _T.DURATION),
    ("timestamp", _T.TIMESTAMP),
    ("string", _T.STRING),
    ("bytes", _T.BYTES),
)


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
        raise CompileError(_readable(str(error))) from None
    return Checked(text, decode(compiled.serialize()), result_type)


@lru_cache(maxsize=16)
def environment(variables: tuple[str, ...] = VARIABLES) -> Any:
    """The C++ environment in which `variables` are declared with any type."""
    return cel.NewEnv(
        variables=dict.fromkeys(variables, _T.DYN),
        extensions=[
            ext_strings.ExtStrings(),
            ext_math.ExtMath(),
            ext_encoders.ExtEncoders(),
            ext_bindings.ExtBindings(),
        ],
        functions=_declarations(),
    )


def _declarations() -> list[Any]:
    text, flag, instant = _T.STRING, _T.BOOL, _T.TIMESTAMP
    declared = [
        _function("now", instant),
        _function("json.parse", _T.Map(text, _T.DYN), text),
        _function("json.marshal", text, _T.DYN),
        _function("net.isIP", flag, text),
        _function("net.isIPv4", flag, text),
        _function("net.isIPv6", flag, text),
        _function("net.isPrivateIP", flag, text),
        _function("net.isIPInRange", flag, text, text),
        _function("time.isWeekday", flag, instant),
        _function("time.isWeekend", flag, instant),
        _function("time.isWeekdayInTZ", flag, instant, text),
        _function("time.isWeekendInTZ", flag, instant, text),
        _function("hasAny", flag, _T.LIST, _T.LIST, member=True),
        _function("hasAll", flag, _T.LIST, _T.LIST, member=True),
        _function("toLower", text, text, member=True),
        _function("toUpper", text, text, member=True),
    ]
    for name in ("min", "max"):
        overloads = [
            cel.Overload(f"list_{kind}_{name}", item, [_T.List(item)], True)
            for kind, item in _COLLECTIONS
        ]
        declared.append(cel.FunctionDecl(name, overloads))
    return declared


def _function(name: str, result: Any, *parameters: Any, member: bool = False) -> Any:
    overload = cel.Overload(name.replace(".", "_").lower(), result, list(parameters), member)
    return cel.FunctionDecl(name, [overload])


def _readable(message: str) -> str:
    """The first complaint of the C++ parser, with its line and column."""
    if "recursion" in message:
        return "the expression is nested more than 32 levels deep"
    if match := _POSITION.search(message):
        line, column, problem = match.groups()
        problem = problem.removesuffix("[INVALID_ARGUMENT]").strip()
        return problem if int(line) < 1 else f"line {line}, column {column}: {problem}"
    return message.split("\n", 1)[0]
