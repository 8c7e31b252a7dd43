"""Conditions and requests that try to hold up a worker.

Expressions are no longer than the API takes. Requests are as large as the front door or a buffered
body lets them be, or larger.
"""

from __future__ import annotations

from typing import Any, Final

DIGITS: Final = "[0,1,2,3,4,5,6,7,8,9]"


def nested(body: str, levels: int, macro: str = "all") -> str:
    """Loops within loops of ten steps each."""
    text = body
    for level in range(levels):
        text = f"{DIGITS}.{macro}(v{level}, {text})"
    return text


def _doubled(start: str, levels: int, result: str) -> str:
    """A value that refers to itself twice at each of some levels."""
    text = result.format(f"v{levels}")
    for level in range(levels, 0, -1):
        text = f"cel.bind(v{level}, [v{level - 1}, v{level - 1}], {text})"
    return f"cel.bind(v0, {start}, {text})"


def _grown(levels: int, result: str) -> str:
    """A text ten times as long at each of some levels."""
    text = result.format(f"v{levels}")
    for level in range(levels, 0, -1):
        made = f"{DIGITS}.map(i{level}, v{level - 1}).join()"
        text = f"cel.bind(v{level}, {made}, {text})"
    return f"cel.bind(v0, 'xxxxxxxxxx', {text})"


_LONG_LIST: Final = "[" + ",".join(["1"] * 2000) + "]"

CONDITIONS: Final[dict[str, str]] = {
    "nested loops": nested("true", 8),
    "nested loops of comparisons": nested("ctx.request.http.path != 'x' || v0 == v1", 8),
    "nested lists": f"{nested('1', 8, 'map')}.size() > 0",
    "loops over long literals": f"{_LONG_LIST}.all(a, {_LONG_LIST}.all(b, a == b))",
    "a long literal again and again": f"{DIGITS}.all(a, {DIGITS}.all(b, {DIGITS}.all(c, "
    f"{_LONG_LIST}.size() > 0 && 5 in {_LONG_LIST} == false)))",
    "a list of itself, compared": _doubled("[1]", 18, "{0} == dyn({0}) && {0} != dyn([{0}])"),
    "a list of itself, printed": _doubled("[1]", 18, "json.marshal({0}).size() > 0"),
    "a list of itself, formatted": _doubled("[1]", 18, "'%s'.format([{0}]).size() > 0"),
    "a list of itself, sought": _doubled("[1]", 18, "[{0}, {0}].hasAny([[{0}]]) || {0} in [{0}]"),
    "a text that grows": _grown(8, "{0}.size() > 0"),
    "a text that grows, reversed": _grown(6, "{0}.reverse().upperAscii() != {0}"),
    "a text that grows, searched": _grown(6, "{0}.matches('(x+x+)+y')"),
    "a text that grows, replaced": _grown(4, "{0}.replace('x', {0}).size() > 0"),
    "a text that grows, encoded": _grown(6, "base64.encode(bytes({0})) == {0}"),
    "a text that grows, split": _grown(6, "{0}.split('').map(c, c + c).join('yy').size() > 0"),
    "lower case, letter by letter": _grown(6, "('Σ' + {0}).toLower() == {0}"),
    "a precise number": f"{DIGITS}.map(a, {DIGITS}.map(b, {DIGITS}.map(c, {DIGITS}.map(d, "
    "'%.1000f'.format([1e300]))))).size() > 0",
    "many powers": f"{DIGITS}.all(a, {DIGITS}.all(b, {DIGITS}.all(c, {DIGITS}.all(d, "
    "timestamp('2027-01-15T08:00:00Z').getHours('Europe/Berlin') >= 0))))",
    "catastrophic pattern": "ctx.request.http.headers.long.matches('^(([a-z])+.)+[A-Z]([a-z])+$')",
    "catastrophic pattern, many times": f"{DIGITS}.all(a, {DIGITS}.all(b, {DIGITS}.all(c, "
    "!ctx.request.http.headers.long.matches('(.*)(.*)(.*)(.*)(.*)[^a]$'))))",
    "patterns from the request": (
        "ctx.request.http.bodyMap.list.all(p, !'a'.matches(string(p)) || p == 0)"
    ),
    "a repeated pattern": "ctx.request.http.headers.long.matches('((a{1,100}){1,10})*b')",
    "bad patterns from the request": "ctx.request.http.bodyMap.list.exists(p, "
    "'a'.matches('([ab]?){900}([ab]?){900}' + string(p) + '([ab]?){900}([ab]?){900}'))",
    "a pattern made of the request": "'aaaa'.matches(ctx.request.http.headers.long + '*')",
    "a large list, squared": "ctx.request.http.bodyMap.list.all(a, "
    "ctx.request.http.bodyMap.list.exists(b, a == b))",
    "a large list in itself": "ctx.request.http.bodyMap.list.all(a, "
    "a in ctx.request.http.bodyMap.list)",
    "a large list against itself": "ctx.request.http.bodyMap.list.hasAll("
    "ctx.request.http.bodyMap.list.map(x, x))",
    "a large list, doubled": "ctx.request.http.bodyMap.list.map(a, "
    "ctx.request.http.bodyMap.list).size() > 0 && ctx.request.http.bodyMap.list.map(a, "
    "ctx.request.http.bodyMap.list + [a]).size() > 0",
    "a large map, walked": "ctx.request.http.bodyMap.map.all(k, "
    "ctx.request.http.bodyMap.map.exists(l, l == k))",
    "all of it, printed and read": "json.parse(json.marshal(ctx)) == ctx && "
    + nested("json.marshal(ctx).size() > 0", 5),
    "a large text, read": "ctx.request.http.bodyMap.list.all(a, "
    "json.parse('{\"a\":[' + ctx.request.http.bodyMap.numbers + '1]}') != {})",
    "a large text, compared": "ctx.request.http.bodyMap.list.all(a, "
    "ctx.request.http.bodyMap.text + 'a' != ctx.request.http.bodyMap.text + 'b')",
    "a deep value": f"{DIGITS}.all(a, {DIGITS}.all(b, {DIGITS}.all(c, {DIGITS}.all(d, "
    "ctx.request.http.bodyMap.deep == ctx.request.http.bodyMap.deep))))",
    "addresses": "ctx.request.http.bodyMap.list.all(a, "
    f"{DIGITS}.all(b, net.isIPInRange('10.0.0.1', '10.0.0.0/8') && !net.isIP(string(a))))",
}
"""By what they try. They are true or false only if they may take as long as they like."""


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


REQUEST: Final[dict[str, Any]] = {
    "http": {
        "method": "POST",
        "path": "/",
        "headers": {"long": "a" * 60_000},
        "bodyMap": {
            "list": [*range(20_000), "x" * 1000],
            "map": {f"key-{number}": number for number in range(20_000)},
            "text": "a" * 1_000_000,
            "numbers": "1," * 100_000,
            "deep": _deep(40),
        },
    }
}
"""A request with a body of some megabytes."""
