"""Generated expressions that are well typed almost everywhere, over generated contexts.

`expression("bool")` is made of productions: templates with the types of their parts. A part is of
another type now and then, behind `dyn()`, as it would be if the data were not as expected.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

_ANY: Final = ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "timestamp",
               "duration", "null"]  # fmt: skip
_NUMBERS: Final = ["int", "uint", "double"]
_ORDERED: Final = ["int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration"]

_LITERALS: Final[dict[str, list[str]]] = {
    "bool": ["true", "false", "ctx.yes", "ctx.no", "attrs.flag", "has(ctx.text)", "has(ctx.nope)",
             "has(ctx.map.a)", "has(ctx.map.a.b)"],
    "int": ["0", "1", "-1", "7", "64", "9223372036854775807", "-9223372036854775808", "i"],
    "uint": ["0u", "1u", "7u", "18446744073709551615u"],
    "double": ["0.0", "-0.0", "1.0", "0.5", "-2.5", "1e300", "1.5e-7", "ctx.number", "ctx.whole",
               "ctx.map.n", "ctx.numbers[0]", "ctx['number']"],
    "string": ["''", "'a'", "'aXbXa'", "'σΣß'", "'🐱é'", "'12'", "' pad '", "'%'", "ctx.text",
               "ctx.map.s", "ctx.texts[0]", "ctx.nope", "ctx.nope.deeper", "attrs.name",
               "'10.0.0.1'", "'2001:db8::1'", "'::ffff:10.1.2.3'", "'10.0.0.0/8'",
               "'Europe/Berlin'", "'2026-01-31T12:00:00Z'", "'1h30m'", "'{\"a\": [1, \"b\"]}'",
               "'a*'", "'('"],
    "bytes": ["b''", "b'ab'", "b'\\xff\\x00'"],
    "list": ["[]", "[1, 2, 3]", "['a', 'b']", "ctx.numbers", "ctx.texts", "ctx.mixed", "ctx.empty",
             "[[1], []]", "ctx.nope", "[true, 1, 1u, 1.0, '1', null]"],
    "map": ["{}", "{'a': 1}", "ctx.map", "{1: 'x', false: 'y'}", "{2u: 3}", "ctx.empty_map",
            "{'a': {'b': [1]}}"],
    "timestamp": ["timestamp(0)", "timestamp('2026-01-31T12:00:00.5Z')", "now()",
                  "timestamp('0001-01-01T00:00:00Z')", "timestamp('9999-12-31T23:59:59Z')"],
    "duration": ["duration('0s')", "duration('1h30m')", "duration('-1.5s')", "duration('1ns')"],
    "null": ["null", "ctx.nothing"],
}  # fmt: skip

_SELF: Final = "="
"""In place of a type: any, the same in each such part."""
_ORDER: Final = "<"
"""As `_SELF`, of those that have an order."""

_PRODUCTIONS: Final[dict[str, list[tuple[str, list[str]]]]] = {
    "bool": [
        ("({0} == {1})", [_SELF, _SELF]), ("({0} != {1})", [_SELF, _SELF]),
        ("(dyn({0}) == {1})", ["?", "?"]), ("(dyn({0}) in [{1}, {2}])", ["?", "?", "?"]),
        ("({0} < {1})", [_ORDER, _ORDER]), ("({0} <= {1})", [_ORDER, _ORDER]),
        ("({0} > {1})", [_ORDER, _ORDER]), ("({0} >= {1})", [_ORDER, _ORDER]),
        ("({0} < {1})", ["#", "#"]), ("({0} == {1})", ["#", "#"]), ("({0} >= {1})", ["#", "#"]),
        ("({0} && {1})", ["bool", "bool"]), ("({0} || {1})", ["bool", "bool"]),
        ("({0} && {1} && {2})", ["bool", "bool", "bool"]), ("!({0})", ["bool"]),
        ("({0} ? {1} : {2})", ["bool", "bool", "bool"]),
        ("({0} in {1})", ["?", "list"]), ("({0} in {1})", ["string", "map"]),
        ("{0}.contains({1})", ["string", "string"]), ("{0}.startsWith({1})", ["string", "string"]),
        ("{0}.endsWith({1})", ["string", "string"]), ("{0}.matches({1})", ["string", "string"]),
        ("{0}.all(i, {1})", ["list", "bool"]), ("{0}.exists(i, {1})", ["list", "bool"]),
        ("{0}.exists_one(i, {1})", ["list", "bool"]), ("{0}.all(k, k != {1})", ["map", "string"]),
        ("{0}.exists(i, i == {1})", ["list", "?"]), ("{0}.all(i, i > {1})", ["list", "int"]),
        ("[1, 2].exists(i, [3, i].all(j, j >= i || {0}))", ["bool"]),
        ("cel.bind(v, {0}, v == v && {1})", ["?", "bool"]), ("bool({0})", ["string"]),
        ("math.isNaN({0})", ["double"]), ("math.isInf({0})", ["double"]),
        ("math.isFinite({0})", ["double"]), ("(type({0}) == type({1}))", ["?", "?"]),
        ("net.isIP({0})", ["string"]), ("net.isIPv4({0})", ["string"]),
        ("net.isIPv6({0})", ["string"]), ("net.isPrivateIP({0})", ["string"]),
        ("net.isIPInRange({0}, '10.0.0.0/8')", ["string"]),
        ("net.isIPInRange('10.1.2.3', {0})", ["string"]), ("time.isWeekday({0})", ["timestamp"]),
        ("time.isWeekendInTZ({0}, {1})", ["timestamp", "string"]),
        ("{0}.hasAny({1})", ["list", "list"]), ("{0}.hasAll({1})", ["list", "list"]),
    ],
    "int": [
        ("({0} + {1})", ["int", "int"]), ("({0} - {1})", ["int", "int"]), ("-({0})", ["int"]),
        ("({0} * {1})", ["int", "int"]), ("({0} / {1})", ["int", "int"]),
        ("({0} % {1})", ["int", "int"]), ("size({0})", ["string"]), ("{0}.size()", ["list"]),
        ("size({0})", ["map"]), ("size({0})", ["bytes"]), ("int({0})", ["double"]),
        ("int({0})", ["string"]), ("int({0})", ["uint"]), ("int({0})", ["timestamp"]),
        ("{0}.indexOf({1})", ["string", "string"]), ("{0}.lastIndexOf({1})", ["string", "string"]),
        ("{0}.indexOf({1}, {2})", ["string", "string", "int"]),
        ("math.bitAnd({0}, {1})", ["int", "int"]), ("math.bitOr({0}, {1})", ["int", "int"]),
        ("math.bitXor({0}, {1})", ["int", "int"]), ("math.bitNot({0})", ["int"]),
        ("math.bitShiftLeft({0}, {1})", ["int", "int"]), ("math.abs({0})", ["int"]),
        ("math.bitShiftRight({0}, {1})", ["int", "int"]), ("math.sign({0})", ["int"]),
        ("math.greatest({0}, {1}, {2})", ["int", "int", "int"]),
        ("({0} ? {1} : {2})", ["bool", "int", "int"]), ("{0}.getFullYear()", ["timestamp"]),
        ("{0}.getMonth()", ["timestamp"]), ("{0}.getDayOfYear()", ["timestamp"]),
        ("{0}.getDayOfWeek()", ["timestamp"]), ("{0}.getDate({1})", ["timestamp", "string"]),
        ("{0}.getHours('+05:30')", ["timestamp"]), ("{0}.getMilliseconds()", ["timestamp"]),
        ("{0}.getHours()", ["duration"]), ("{0}.getSeconds()", ["duration"]),
        ("{0}[{1}]", ["list", "int"]), ("[{0}, {1}][{2}]", ["int", "int", "int"]),
    ],
    "uint": [
        ("({0} + {1})", ["uint", "uint"]), ("({0} - {1})", ["uint", "uint"]),
        ("({0} * {1})", ["uint", "uint"]), ("({0} / {1})", ["uint", "uint"]),
        ("({0} % {1})", ["uint", "uint"]), ("uint({0})", ["double"]), ("uint({0})", ["string"]),
        ("uint({0})", ["int"]), ("math.bitOr({0}, {1})", ["uint", "uint"]),
        ("math.least({0}, {1})", ["uint", "uint"]),
    ],
    "double": [
        ("({0} + {1})", ["double", "double"]), ("({0} - {1})", ["double", "double"]),
        ("({0} * {1})", ["double", "double"]), ("({0} / {1})", ["double", "double"]),
        ("-({0})", ["double"]), ("double({0})", ["int"]), ("double({0})", ["string"]),
        ("math.ceil({0})", ["double"]), ("math.floor({0})", ["double"]),
        ("math.round({0})", ["double"]), ("math.trunc({0})", ["double"]),
        ("math.abs({0})", ["double"]), ("math.sign({0})", ["double"]),
        ("math.sqrt({0})", ["double"]), ("math.greatest({0}, {1})", ["double", "double"]),
        ("math.least([{0}, {1}])", ["double", "double"]), ("ctx.numbers.max()", []),
        ("ctx.numbers.min()", []), ("ctx.numbers[{0}]", ["int"]),
    ],
    "string": [
        ("({0} + {1})", ["string", "string"]), ("string({0})", ["int"]), ("string({0})", ["bool"]),
        ("string({0})", ["bytes"]), ("string({0})", ["timestamp"]), ("string({0})", ["uint"]),
        ("{0}.charAt({1})", ["string", "int"]), ("{0}.substring({1})", ["string", "int"]),
        ("{0}.substring({1}, {2})", ["string", "int", "int"]), ("{0}.lowerAscii()", ["string"]),
        ("{0}.upperAscii()", ["string"]), ("{0}.trim()", ["string"]), ("{0}.reverse()", ["string"]),
        ("{0}.replace({1}, {2})", ["string", "string", "string"]),
        ("{0}.replace({1}, {2}, {3})", ["string", "string", "string", "int"]),
        ("['a', {0}].join({1})", ["string", "string"]), ("strings.quote({0})", ["string"]),
        ("base64.encode({0})", ["bytes"]), ("{0}.toLower()", ["string"]),
        ("'%d:%x'.format([{0}, {0}])", ["int"]), ("'%.3f'.format([{0}])", ["double"]),
        ("({0} ? {1} : {2})", ["bool", "string", "string"]), ("ctx.texts.max()", []),
        ("{0}.s", ["map"]), ("{0}['a']", ["map"]), ("{0}.a.b", ["map"]),
        ("cel.bind(v, {0}, v + v)", ["string"]), ("json.parse({0}).a[1]", ["string"]),
    ],
    "bytes": [
        ("({0} + {1})", ["bytes", "bytes"]), ("bytes({0})", ["string"]),
        ("base64.decode({0})", ["string"]), ("base64.decode(base64.encode({0}))", ["bytes"]),
    ],
    "list": [
        ("[{0}, {1}]", ["?", "?"]), ("({0} + {1})", ["list", "list"]), ("[{0}]", ["list"]),
        ("{0}.map(i, {1})", ["list", "?"]), ("{0}.map(i, [i, {1}])", ["list", "?"]),
        ("{0}.filter(i, {1})", ["list", "bool"]), ("{0}.map(i, {1}, i)", ["list", "bool"]),
        ("{0}.split('a')", ["string"]), ("{0}.map(k, k)", ["map"]),
        ("{0}.split('X', {1})", ["string", "int"]),
        ("({0} ? {1} : {2})", ["bool", "list", "list"]),
    ],
    "map": [
        ("{{'k': {0}, 'l': {1}}}", ["?", "?"]), ("{{{0}: {1}}}", ["string", "?"]),
        ("{{{0}: {1}}}", ["int", "?"]), ("json.parse({0})", ["string"]),
        ("{{'a': {0}}}", ["map"]), ("({0} ? {1} : {2})", ["bool", "map", "map"]),
    ],
    "timestamp": [
        ("timestamp({0})", ["string"]), ("timestamp({0})", ["int"]),
        ("({0} + {1})", ["timestamp", "duration"]), ("({0} - {1})", ["timestamp", "duration"]),
    ],
    "duration": [
        ("duration({0})", ["string"]), ("({0} + {1})", ["duration", "duration"]),
        ("({0} - {1})", ["timestamp", "timestamp"]), ("({0} - {1})", ["duration", "duration"]),
    ],
    "null": [("({0} ? null : null)", ["bool"])],
}  # fmt: skip


@st.composite
def expression(draw: st.DrawFn, wanted: str = "?", depth: int = 3) -> str:
    """An expression of the wanted type; `?` stands for any and `#` for any number."""
    kind = wanted
    if wanted == "?":
        kind = draw(st.sampled_from(_ANY))
    elif wanted == "#":
        kind = draw(st.sampled_from(_NUMBERS))
    elif draw(st.integers(0, 24)) == 24:
        return f"dyn({draw(expression('?', depth - 1))})" if depth else "dyn(ctx.mixed[1])"
    if depth <= 0 or draw(st.integers(0, 3)) == 0:
        literal = draw(st.sampled_from(_LITERALS[kind]))
        return "1" if literal == "i" else literal
    template, parts = draw(st.sampled_from(_PRODUCTIONS[kind]))
    same = draw(st.sampled_from(_ANY))
    ordered = draw(st.sampled_from(_ORDERED))
    made = [
        draw(expression({_SELF: same, _ORDER: ordered}.get(part, part), depth - 1))
        for part in parts
    ]
    return template.format(*made)


_SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 1.5, 2.0**53, 1e300, -0.0]),
    st.sampled_from(["", "a", "aXb", "é", "1", "true", "10.1.2.3", "2026-01-31T12:00:00Z"]),
)
_VALUES: Final = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "n", "s"]), inner, max_size=3),
    ),
    max_leaves=5,
)


def contexts() -> st.SearchStrategy[dict[str, Any]]:
    """Contexts whose members are what their names say, or something else, or are not there."""
    expected: dict[str, st.SearchStrategy[Any]] = {
        "yes": st.just(value=True),
        "no": st.just(value=False),
        "number": st.sampled_from([0.0, 1.5, -3.0, 1e300]),
        "whole": st.sampled_from([0, 8080, -1]),
        "text": st.sampled_from(["", "a", "aXbX", "🐱", "10.0.0.1"]),
        "texts": st.lists(st.sampled_from(["a", "b", "", "Σ"]), max_size=3),
        "numbers": st.lists(st.sampled_from([0, 1, 2.5, -1]), max_size=3),
        "mixed": st.lists(_SCALARS, max_size=4),
        "map": st.fixed_dictionaries({}, optional={
            "a": st.fixed_dictionaries({}, optional={"b": _SCALARS}),
            "n": st.sampled_from([1, 2.5]),
            "s": st.just("text"),
        }),
        "nothing": st.none(),
        "empty": st.just([]),
        "empty_map": st.just({}),
    }  # fmt: skip
    usual = {name: st.one_of(*[values] * 8, _VALUES) for name, values in expected.items()}
    whole = st.fixed_dictionaries(usual)
    return st.one_of(whole, whole, st.fixed_dictionaries({}, optional=usual))
