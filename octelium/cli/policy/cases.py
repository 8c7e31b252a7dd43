"""Files of conformance cases for CEL, and what comes out of them.

A file is a JSON object with `tests`, a list of cases: `section`, `name`, `expr`, and either
`value` or `error`. `bindings` are the variables with their values; `declared` are the variables
that the checker knows (all of `bindings` when absent); `disable_check` skips the checker. Each
value is an object with one member that says its type, as the test data of the CEL specification
does (https://github.com/google/cel-spec/tree/master/tests): `null`, `bool`, `string`; `int`,
`uint` and `double` as texts; `bytes` in hexadecimal digits; `list` of values; `map` as a list of
pairs of values; `type` by its name; `duration` and `timestamp` with `seconds` and `nanos`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from octelium.cli.policy.notation import typed
from octelium.cli.policy.unoffered import unoffered
from octelium.policy.cel.errors import CompileError, EvaluationError
from octelium.policy.cel.unparse import literal
from octelium.policy.cel.values import (
    SECOND,
    TYPE_NAMES,
    CelType,
    Duration,
    Timestamp,
    UInt,
    map_key,
    plain_key,
)
from octelium.schema.errors import Invalid, under

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_DEPTH = 64
_KEYS = frozenset(
    {"section", "name", "expr", "value", "error", "bindings", "declared", "disable_check"}
)


@dataclass(frozen=True, slots=True)
class CelCase:
    """One case: `value` is what must come out, unless an error must (`fails`)."""

    section: str
    name: str
    text: str
    fails: bool
    value: object = None
    variables: dict[str, object] = field(default_factory=dict)
    check: bool = True


@dataclass(frozen=True, slots=True)
class CelResult:
    """What came out of a case: `got` is for people.

    `excluded` says why a case need not succeed: it needs what Octelium's environment lacks.
    """

    section: str
    name: str
    ok: bool
    got: str
    excluded: str = ""


def read_cases(text: str) -> list[CelCase]:
    """The cases of a file's text. Raises Invalid."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid("", f"not JSON: {error}", "conformance cases are JSON") from None
    tests = content.get("tests") if isinstance(content, dict) else None
    if not isinstance(tests, list):
        raise Invalid("tests", "a list of cases is missing", 'write {"tests": [{"section": …}]}')
    return [_case(test, f"tests[{index}]") for index, test in enumerate(tests)]


def run_case(case: CelCase) -> CelResult:
    """Evaluate a case and compare."""
    from octelium.policy.cel.program import evaluate_once

    try:
        value = evaluate_once(case.text, case.variables, check=case.check)
    except (EvaluationError, CompileError) as error:
        got, ok = f"error: {error}", case.fails
    else:
        ok = not case.fails and same(value, case.value)
        got = literal(value)
        if not ok:
            wanted = "an error" if case.fails else typed(case.value)
            got = f"{typed(value)}, expected {wanted}"
    excluded = "" if ok else _why_excluded(case.text)
    if excluded:
        got = f"not offered: {excluded}"
    return CelResult(case.section, case.name, ok, got, excluded)


def same(value: object, expected: object) -> bool:
    """Whether two values are of the same type and equal; NaN equals itself here."""
    if type(value) is not type(expected):
        return False
    if isinstance(value, float) and isinstance(expected, float):
        return value == expected or (math.isnan(value) and math.isnan(expected))
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(value, dict) and isinstance(expected, dict):
        left, right = _tagged(value), _tagged(expected)
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return value == expected


def _tagged(mapping: dict[object, object]) -> dict[tuple[str, object], object]:
    plain = ((plain_key(key), item) for key, item in mapping.items())
    return {(type(key).__name__, key): item for key, item in plain}


def _why_excluded(text: str) -> str:
    try:
        return unoffered(text)
    except CompileError:
        return ""


def _case(test: Any, path: str) -> CelCase:
    if not isinstance(test, dict):
        raise Invalid(path, "is not an object", "write section, name, expr and value")
    for key in test:
        if key not in _KEYS:
            raise Invalid(
                f"{path}.{key}", "unknown field", f"fields here: {', '.join(sorted(_KEYS))}"
            )
    section, name, text = (_text(test, key, path) for key in ("section", "name", "expr"))
    if ("value" in test) == ("error" in test):
        raise Invalid(path, "must have either value or error")
    bindings = test.get("bindings", {})
    if not isinstance(bindings, dict):
        raise Invalid(f"{path}.bindings", "is not an object", 'write {"x": {"int": "1"}}')
    variables = {
        name: _value(item, under(f"{path}.bindings", name), 0) for name, item in bindings.items()
    }
    expected = None if "error" in test else _value(test["value"], f"{path}.value", 0)
    check = not test.get("disable_check", False)
    return CelCase(section, name, text, "error" in test, expected, variables, check)


def _text(test: dict[str, Any], key: str, path: str) -> str:
    value = test.get(key)
    if not isinstance(value, str):
        raise Invalid(f"{path}.{key}", "a text is missing")
    return value


def _value(tagged: Any, path: str, depth: int) -> object:
    if not isinstance(tagged, dict) or len(tagged) != 1 or depth > _MAX_DEPTH:
        raise Invalid(path, "is no value", 'write its type too: {"int": "1"}')
    [(kind, raw)] = tagged.items()
    where = f"{path}.{kind}"
    if kind == "list" and isinstance(raw, list):
        return [_value(item, under(where, index), depth + 1) for index, item in enumerate(raw)]
    if kind == "map" and isinstance(raw, list):
        return dict(_pair(pair, under(where, index), depth + 1) for index, pair in enumerate(raw))
    read = _SCALARS.get(kind)
    if read is None:
        raise Invalid(where, "unknown type of a value", f"known: list, map, {', '.join(_SCALARS)}")
    try:
        return read(raw)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise Invalid(where, f"{str(raw)[:60]!r} is no {kind}") from None


def _pair(pair: Any, path: str, depth: int) -> tuple[object, object]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise Invalid(path, "is no pair of key and value", "write [KEY, VALUE]")
    key = _value(pair[0], under(path, 0), depth)
    try:
        return map_key(key), _value(pair[1], under(path, 1), depth)
    except EvaluationError as error:
        raise Invalid(under(path, 0), str(error)) from None


def _exactly(kind: type) -> Callable[[Any], object]:
    def read(raw: Any) -> object:
        if type(raw) is not kind:
            raise TypeError
        return raw

    return read


def _nanoseconds(raw: Any) -> int:
    return int(raw.get("seconds", 0)) * SECOND + int(raw.get("nanos", 0))


def _type(raw: Any) -> CelType:
    return TYPE_NAMES.get(raw) or CelType(_exactly(str)(raw))  # type: ignore[arg-type]  # a str


_SCALARS: dict[str, Callable[[Any], object]] = {
    "null": _exactly(type(None)),
    "bool": _exactly(bool),
    "int": int,
    "uint": UInt,
    "double": float,
    "string": _exactly(str),
    "bytes": bytes.fromhex,
    "type": _type,
    "duration": lambda raw: Duration(_nanoseconds(raw)),
    "timestamp": lambda raw: Timestamp(_nanoseconds(raw)),
}
