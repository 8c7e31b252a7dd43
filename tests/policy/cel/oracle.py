"""Google's C++ evaluator, for comparison, and generated expressions to compare on."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cel_expr_python import cel
from hypothesis import strategies as st

from octelium.policy.cel import environment
from octelium.policy.cel.errors import CompileError, EvaluationError, MissingDataError
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.values import (
    SECOND,
    CelType,
    Duration,
    Timestamp,
    UInt,
    normalized,
    plain_key,
)
from tests.policy.cel import peers

if TYPE_CHECKING:
    from collections.abc import Callable

CONTEXT: dict[str, Any] = {
    "user": {
        "metadata": {"name": "ann", "labels": {"team": "blue"}},
        "spec": {
            "type": "HUMAN",
            "email": "ann@example.com",
            "groups": ["ops", "dev", "σίγμα"],
            "attrs": {"level": 3, "ratio": 0.5, "tags": ["a", 1, True, None], "nested": {"x": [1]}},
        },
    },
    "groups": [{"metadata": {"name": "ops"}}, {"metadata": {"name": "dev"}, "spec": {}}],
    "service": {"spec": {"port": 8080, "isPublic": True, "mode": "HTTP"}},
    "nothing": None,
    "empty": {"list": [], "map": {}, "text": ""},
    "request": {
        "ip": "10.1.2.3",
        "http": {
            "method": "GET",
            "path": "/admin/ünï",
            "headers": {"host": "a.example"},
            "size": "120",
        },
    },
}
NORMAL: dict[str, Any] = normalized(CONTEXT)  # type: ignore[assignment]  # a dict stays one

ATTRS: dict[str, Any] = {"name": "ann", "flag": True}


@dataclass(frozen=True)
class Failed:
    """An evaluation that ended in an error."""

    text: str


def ours(text: str, context: dict[str, Any] = NORMAL) -> object:
    """What our closures make of `text`."""
    try:
        return plain(compile_program(text).evaluate(new_frame(context, ATTRS, now=peers.NOW)))
    except (EvaluationError, CompileError) as error:
        return Failed(str(error))


def truth(text: str, context: dict[str, Any] = NORMAL) -> object:
    """Whether `text` holds as a condition; None for a failure."""
    try:
        return compile_program(text).test(new_frame(context, ATTRS, now=peers.NOW))
    except (EvaluationError, CompileError):
        return None


def derived_truth(text: str, context: dict[str, Any] = NORMAL) -> object:
    """As `truth`, from what `text` evaluates to."""
    try:
        value = compile_program(text).evaluate(new_frame(context, ATTRS, now=peers.NOW))
    except MissingDataError:
        return False
    except (EvaluationError, CompileError):
        return None
    return value if type(value) is bool else None


@lru_cache(maxsize=1)
def _peer() -> Any:
    return peers.environment()


def theirs(text: str, context: dict[str, Any] = NORMAL) -> object:
    """What the C++ evaluator makes of `text`; raises RuntimeError if it does not compile."""
    environment.environment().compile(text)
    env = _peer()
    activation = env.Activation({"ctx": context, "attrs": ATTRS})
    result = env.compile(text).eval(activation)
    # An error comes as a value whose Python form is a text, hence true: look at the type.
    if result.type() == cel.Type.ERROR:
        return Failed("an error of the C++ evaluator")  # its text may not even be one
    return foreign(result)


def foreign(value: Any) -> object:
    """A value of the C++ evaluator in the form of `plain`."""
    kind = value.type().name()
    raw = value.value()
    if kind.startswith("LIST"):
        return [foreign(item) for item in raw]
    if kind.startswith("MAP"):
        return {tagged(key): foreign(item) for key, item in raw.items()}
    if kind == "UINT":
        return ("uint", raw)
    if isinstance(raw, dt.datetime):
        stamp = raw if raw.tzinfo else raw.replace(tzinfo=dt.UTC)
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return ("timestamp", (stamp - epoch) // dt.timedelta(microseconds=1))
    if isinstance(raw, dt.timedelta):
        return ("duration", raw // dt.timedelta(microseconds=1))
    if kind.startswith("TYPE"):
        return ("type",)
    return tagged(raw)


def plain(value: object) -> object:
    """One of our values in a form that compares by type and value."""
    match value:
        case list():
            return [plain(item) for item in value]
        case dict():
            return {tagged(plain_key(key)): plain(item) for key, item in value.items()}
        case UInt():
            return ("uint", int(value))
        case Timestamp():
            return ("timestamp", value.ns * 1_000_000 // SECOND)
        case Duration():
            whole = abs(value.ns) * 1_000_000 // SECOND
            return ("duration", -whole if value.ns < 0 else whole)
        case CelType():
            return ("type",)
    return tagged(value)


def tagged(value: object) -> object:
    """A scalar with its Python type, NaN equal to itself."""
    if isinstance(value, bytearray):
        return ("bytes", bytes(value))
    if isinstance(value, float) and math.isnan(value):
        return ("float", "nan")
    return (type(value).__name__.removeprefix("U").lower(), value)


_LITERALS = [
    "0", "1", "2", "-1", "7u", "0u", "1u", "1.0", "0.5", "-2.5", "1e300", "9223372036854775807",
    "-9223372036854775808", "18446744073709551615u", "true", "false", "null", "''", "'a'",
    "'ops'", "'HUMAN'", "'σίγμα'", "'aXbXc'", "'🐱é'", "b'ab'", "b'\\xff'", "[]", "[1, 2, 3]",
    "['ops', 'x']", "[1, 'a', true, null]", "{}", "{'a': 1}", "{true: 'y'}", "{2u: 3.0}",
    "'2026-01-31T12:00:00Z'", "'1h30m'", "'12'", "'^/adm'", "'('", "int", "string",
]  # fmt: skip
_PATHS = [
    "ctx.user.spec.type", "ctx.user.spec.email", "ctx.user.spec.groups",
    "ctx.user.spec.attrs.nested",
    "ctx.user.spec.attrs.level", "ctx.user.spec.attrs.tags", "ctx.user.metadata.labels",
    "ctx.user.metadata.labels.nope", "ctx.device.spec.state", "ctx.groups", "ctx.nothing",
    "ctx.nothing.x", "ctx.empty.list", "ctx.empty.map", "ctx.empty.text", "ctx.service.spec.port",
    "ctx.service.spec.isPublic", "ctx.request.http.path", "ctx.request.http.headers",
    "ctx.request.http.size", "ctx.user.spec.email.x", "ctx['user']['spec']['type']",
    "ctx.groups[0].metadata.name", "ctx.groups[5]", "attrs.x",
]  # fmt: skip
_BINARY = ["==", "!=", "<", "<=", ">", ">=", "&&", "||", "+", "-", "*", "/", "%", "in"]
_UNARY = [
    "!{0}", "-({0})", "size({0})", "{0}.size()", "int({0})", "uint({0})", "double({0})",
    "string({0})", "bytes({0})", "bool({0})", "dyn({0})", "type({0}) == string",
    "timestamp({0})", "duration({0})", "has(ctx.user.spec.email)", "has(ctx.nothing.x)",
    "has(ctx.user.nope)", "{0}.upperAscii()", "{0}.lowerAscii()", "{0}.trim()", "{0}.reverse()",
    "math.abs({0})", "math.ceil({0})", "math.round({0})", "math.sign({0})", "math.isNaN({0})",
    "base64.encode({0})", "base64.decode({0})", "strings.quote({0})", "{0}.join()",
    "timestamp({0}).getFullYear()", "timestamp({0}).getHours('Europe/Berlin')",
    "duration({0}).getMinutes()", "'%s'.format([{0}])", "'%d|%x'.format([{0}, {0}])",
]  # fmt: skip
_CALLS = [
    "{0}.startsWith({1})", "{0}.endsWith({1})", "{0}.contains({1})", "{0}.matches({1})",
    "{0}[{1}]", "({0}).split({1})", "({0}).indexOf({1})", "({0}).lastIndexOf({1})",
    "({0}).join({1})", "({0}).charAt({1})", "({0}).substring({1})", "({0}).replace({1}, 'z')",
    "math.greatest({0}, {1})", "math.least({0}, {1})", "math.bitAnd({0}, {1})",
    "math.bitShiftRight({0}, {1})", "[{0}, {1}]", "{{'k': {0}, 'l': {1}}}", "{{{0}: {1}}}",
    "[{0}].all(e, e == {1})", "[{0}, {1}].exists(e, e)", "({0}).all(e, e == {1})",
    "({0}).exists(e, e == {1})", "({0}).exists_one(e, e == {1})", "({0}).map(e, [e, {1}])",
    "({0}).filter(e, e != {1})", "({0}).map(e, e != {1}, e)", "cel.bind(v, {0}, v == {1})",
    "cel.bind(v, {0}, [v, {1}])", "({0}).all(e, {1} || e == e)",
    "timestamp({0}) + duration({1})", "({0}).replace('a', 'b', {1})",
]  # fmt: skip


def _combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(_BINARY), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(_UNARY), inner).map(lambda t: t[0].format(t[1])),
        st.tuples(st.sampled_from(_CALLS), inner, inner).map(lambda t: t[0].format(t[1], t[2])),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
    )


def expressions() -> st.SearchStrategy[str]:
    """Expressions of any type, most of which evaluate to something."""
    leaf = st.one_of(st.sampled_from(_LITERALS), st.sampled_from(_PATHS))
    dynamic = leaf.map(lambda text: f"dyn({text})")
    return st.recursive(st.one_of(leaf, dynamic), _combine, max_leaves=7)


_ATOMS = [
    "ctx.user.spec.type == 'HUMAN'", "ctx.user.spec.type == 'WORKLOAD'", "true", "false",
    "'ops' in ctx.user.spec.groups", "ctx.device.spec.state == 'ACTIVE'", "has(ctx.device)",
    "has(ctx.user.spec.email)", "ctx.service.spec.isPublic", "ctx.service.spec.port + 1 > 3",
    "ctx.service.spec.port > 80", "1 / 0 > 1", "ctx.user.spec.email", "ctx.nothing.x",
    "ctx.request.http.path.startsWith('/admin')", "ctx.request.http.headers.host == 'a.example'",
    "ctx.groups.exists(g, g.metadata.name == 'dev')", "ctx.groups.all(g, has(g.spec))",
    "ctx.request.http.method in ['GET', 'HEAD']", "ctx.user.spec.attrs.level == 3",
    "ctx.user.metadata.labels['team'] == 'blue'", "dyn(ctx.user.spec.groups)",
    "ctx.groups.exists_one(g, g.spec == {})", "'host' in ctx.request.http.headers",
]  # fmt: skip


def _join(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operator = st.sampled_from(["&&", "||"])
    return st.one_of(
        st.tuples(inner, operator, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(operator, st.lists(inner, min_size=3, max_size=5)).map(
            lambda t: f"({f' {t[0]} '.join(t[1])})"
        ),
        inner.map(lambda text: f"!({text})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
        inner.map(lambda text: f"[1, 2].exists(n, n == 2 && {text})"),
        inner.map(lambda text: f"cel.bind(b, {text}, b || b)"),
    )


def conditions() -> st.SearchStrategy[str]:
    """Expressions such as policies hold, with errors and missing data in all places."""
    return st.recursive(st.sampled_from(_ATOMS), _join, max_leaves=8)


_LOOPS = ("all", "exists", "exists_one", "map", "filter")


def _failed(value: object, problem: str) -> bool:
    return isinstance(value, Failed) and problem in value.text


def _unsplit(value: object) -> str:
    return str(value).replace("('str', '')", "")


DIFFERENCES: dict[str, Callable[[str, object, object], bool]] = {
    "only Go converts a duration to int, to nanoseconds": (
        lambda text, made, theirs: (
            "int(" in text
            and isinstance(theirs, Failed)
            and not isinstance(made, Failed)
            and ("duration(" in text or "timestamp(" in text or "now()" in text)
        )
    ),
    "C++ errs about the length of a part of a text": (
        lambda text, made, theirs: (
            ".substring(" in text and isinstance(theirs, Failed) and not isinstance(made, Failed)
        )
    ),
    "times of Python, which the peers are given, have no nanoseconds": (
        lambda text, _made, _theirs: (
            "1ns" in text and any(f".{name}(" in text for name in ("hasAny", "hasAll"))
        )
    ),
    "only C++ skips blanks in base64": (
        lambda text, made, _theirs: "base64.decode(" in text and _failed(made, "needs base64")
    ),
    "only C++ converts bool to int": lambda _text, made, _theirs: _failed(made, "int(bool)"),
    "C++ may read the variable of an earlier loop in place of a bound one": (
        lambda text, _made, _theirs: (
            "cel.bind(" in text and any(f".{macro}(" in text for macro in _LOOPS)
        )
    ),
    "Go splits an empty text by nothing into no part, C++ into one empty part": (
        lambda text, made, theirs: ".split(" in text and _unsplit(made) == _unsplit(theirs)
    ),
    "Go writes doubles without exponents": lambda text, _made, _theirs: "%s" in text,
    "Go writes no zeros at the end of a second's fraction": (
        lambda text, _made, _theirs: (
            "string(" in text and any(part in text for part in ("now()", ".5Z", "1.5s", "1ns"))
        )
    ),
    "ours has no clock times after the year 9999 or before the year 1, in no time zone": (
        lambda _text, made, _theirs: _failed(made, "out of range in this time zone")
    ),
    "the keys of a map have no order": (
        lambda text, made, theirs: ".map(" in text and sorted(str(made)) == sorted(str(theirs))
    ),
    "ours wants two digits in each part of an offset from UTC": (
        lambda text, made, _theirs: ":" in text and _failed(made, "time zone of this name")
    ),
    "a pattern in the text of an expression is compiled with it": (
        lambda text, made, _theirs: "matches(" in text and _failed(made, "regular expression")
    ),
}
"""Where the C++ implementation differs from cel-go, which Octelium evaluates with, or from ours."""


def known_difference(text: str, made: object, expected: object) -> str:
    """The reason for which two results may differ; empty if there is none."""
    for reason, applies in DIFFERENCES.items():
        if applies(text, made, expected):
            return reason
    return ""
