from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import BudgetError, EvaluationError
from octelium.policy.cel.functions.octelium import marshal_json, parse_json
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.values import normalized
from tests.policy.cel.evaluation import failure, value


def test_now_is_one_instant() -> None:
    assert value("now() == now() && now() == timestamp(1800000000)", now=1_800_000_000.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('json.parse(\'{"a": [1, true, null, "x"]}\').a', [1.0, True, None, "x"]),
        ('json.parse(\'{"a": {"b": 2}}\').a.b == 2', True),
        ("json.parse('{}')", {}),
        ('json.parse(\'{"a": 1, "a": 2}\').a', 2.0),
        ("json.marshal({'b': 1, 'a': [true, null, 'x']})", '{"a":[true,null,"x"],"b":1}'),
        ("json.marshal('<&>')", '"\\u003c\\u0026\\u003e"'),
        ("json.marshal('é\\n')", '"é\\n"'),
        ("json.marshal(1.0)", "1"),
        ("json.marshal(1.5)", "1.5"),
        ("json.marshal(1234567.0)", "1234567"),
        ("json.marshal(7u)", "7"),
        ("json.marshal(b'hi')", '"aGk="'),
        ("json.marshal({1: 2, true: 3})", '{"1":2,"true":3}'),
        ("json.marshal(duration('1s'))", '"1s"'),
        ("json.marshal(timestamp(0))", '"1970-01-01T00:00:00Z"'),
        ("net.isIP('10.0.0.1')", True),
        ("net.isIP('::1')", True),
        ("net.isIP('10.0.0.256')", False),
        ("net.isIP('10.0.0.01')", False),
        ("net.isIP('fe80::1%eth0')", False),
        ("net.isIP('')", False),
        ("net.isIPv4('10.0.0.1')", True),
        ("net.isIPv4('::1')", False),
        ("net.isIPv6('::ffff:10.0.0.1')", True),
        ("net.isIPv6('10.0.0.1')", False),
        ("net.isPrivateIP('10.1.2.3')", True),
        ("net.isPrivateIP('172.31.255.255')", True),
        ("net.isPrivateIP('192.168.0.1')", True),
        ("net.isPrivateIP('fd00::1')", True),
        ("net.isPrivateIP('::ffff:10.0.0.1')", True),
        ("net.isPrivateIP('8.8.8.8')", False),
        ("net.isPrivateIP('127.0.0.1')", False),
        ("net.isPrivateIP('garbage')", False),
        ("net.isIPInRange('10.1.2.3', '10.0.0.0/8')", True),
        ("net.isIPInRange('10.1.2.3', '10.1.2.3/8')", True),
        ("net.isIPInRange('11.1.2.3', '10.0.0.0/8')", False),
        ("net.isIPInRange('2001:db8::1', '2001:db8::/32')", True),
        ("net.isIPInRange('10.0.0.1', '2001:db8::/32')", False),
        ("net.isIPInRange('::ffff:10.0.0.1', '10.0.0.0/8')", True),
        # 2027-01-15 is a Friday.
        ("time.isWeekday(timestamp('2027-01-15T23:00:00Z'))", True),
        ("time.isWeekend(timestamp('2027-01-16T00:00:00Z'))", True),
        ("time.isWeekend(timestamp('2027-01-17T23:59:59Z'))", True),
        ("time.isWeekend(timestamp('2027-01-18T00:00:00Z'))", False),
        ("time.isWeekendInTZ(timestamp('2027-01-15T23:00:00Z'), 'Asia/Tokyo')", True),
        ("time.isWeekdayInTZ(timestamp('2027-01-15T23:00:00Z'), 'America/New_York')", True),
        ("['a', 'b'].hasAny(['x', 'b'])", True),
        ("['a', 'b'].hasAny(['x'])", False),
        ("['a', 'b'].hasAny([])", False),
        ("['a', 'b'].hasAll(['b', 'a', 'a'])", True),
        ("['a', 'b'].hasAll(['a', 'x'])", False),
        ("['a', 'b'].hasAll([])", True),
        ("[1, 'a'].hasAny([dyn(1.0)])", True),
        ("[dyn(true)].hasAny([1])", False),
        ("[3, 1, 2].min()", 1),
        ("[3, 1, 2].max()", 3),
        ("['b', 'a'].min()", "a"),
        ("[false, true].max()", True),
        ("[duration('2s'), duration('1s')].min() == duration('1s')", True),
        ("'ÄÖ ß İ'.toLower()", "äö ß İ"),
        ("'äö ß ŉ'.toUpper()", "ÄÖ ß ŉ"),
        ("'Å\\u03a3'.toLower()", "å\u03c3"),
        ("'AbC'.toLower()", "abc"),
    ],
)
def test_functions(text: str, expected: object) -> None:
    made = value(text)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "json.parse('[1]')",
        "json.parse('1')",
        "json.parse('')",
        "json.parse('{')",
        "json.parse('{\"a\": NaN}')",
        "json.parse('{\"a\": 1e999}')",
        "json.parse(dyn(1))",
        "json.marshal(1.0 / 0.0)",
        "json.marshal(type(1))",
        "net.isIP(dyn(1))",
        "net.isIPv4(dyn(1))",
        "net.isIPv6(dyn(1))",
        "net.isPrivateIP(dyn(null))",
        "net.isIPInRange('garbage', '10.0.0.0/8')",
        "net.isIPInRange('10.0.0.1', '10.0.0.0')",
        "net.isIPInRange('10.0.0.1', '10.0.0.0/33')",
        "net.isIPInRange('10.0.0.1', '10.0.0.0/255.0.0.0')",
        "net.isIPInRange('10.0.0.1', 'garbage/8')",
        "net.isIPInRange(dyn(1), '10.0.0.0/8')",
        "time.isWeekend(dyn('2027-01-16T00:00:00Z'))",
        "time.isWeekendInTZ(timestamp(0), 'Nowhere')",
        "time.isWeekdayInTZ(timestamp(0), dyn(1))",
        "dyn('a').hasAny(['a'])",
        "['a'].hasAll(dyn('a'))",
        "dyn([]).min()",
        "[1, dyn('a')].max()",
        "[dyn(null)].min()",
        "dyn('abc').max()",
        "dyn(1).toLower()",
        "dyn(1).toUpper()",
    ],
)
def test_errors(text: str) -> None:
    assert failure(text)


def test_marshalling_is_bounded() -> None:
    deep: object = 1.0
    for _ in range(100):
        deep = [deep]
    with pytest.raises(EvaluationError, match="nested"):
        marshal_json(new_frame({}), deep)
    shared: object = [1.0]
    for _ in range(30):
        shared = [shared, shared]
    with pytest.raises(BudgetError):
        marshal_json(new_frame({}), shared)


def test_membership_is_bounded() -> None:
    frame = new_frame({"a": [float(n) for n in range(2000)], "b": [-1.0] * 2000})
    with pytest.raises(BudgetError):
        compile_program("ctx.a.hasAny(ctx.b)").test(frame)


def test_deep_json_is_no_crash() -> None:
    text = '{"a":' * 20_000 + "1" + "}" * 20_000
    with pytest.raises(EvaluationError):
        parse_json(new_frame({}), text)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), JSON, max_size=3))
def test_json_survives(form: dict[str, object]) -> None:
    frame = new_frame({})
    text = marshal_json(frame, normalized(form))
    assert parse_json(frame, text) == form
    assert json.loads(text, parse_int=float) == form


@given(st.text(max_size=50))
def test_any_text_parses_or_fails(text: str) -> None:
    try:
        made = parse_json(new_frame({}), text)
    except EvaluationError:
        return
    assert isinstance(made, dict)
