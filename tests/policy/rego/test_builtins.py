"""Every function that Octelium's own engine offers works, or is refused when a module is stored."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.policy.rego.builtins import OFFERED, OPERATORS, VOLATILE, refusal
from octelium.policy.rego.functions import FUNCTIONS
from octelium.policy.rego.needed import UNDEFINED
from octelium.policy.rego.tokens import RegoSyntaxError
from tests.policy.rego.evaluation import NOW, value

# HS256 with the secret "secret", claims {"sub": "ann"}.
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.smZZ8MPaDgotxo1D98cFfXd3XE37CXy7QGMhGo6egaE"

WORKS: dict[str, tuple[str, Any]] = {
    # numbers
    "abs": ("abs(-3)", 3),
    "ceil": ("ceil(2.1)", 3),
    "floor": ("floor(-2.1)", -3),
    "round": ("round(2.5)", 3),
    "numbers.range": ("numbers.range(3, 1)", [3, 2, 1]),
    "numbers.range_step": ("numbers.range_step(0, 10, 5)", [0, 5, 10]),
    "bits.and": ("bits.and(6, 3)", 2),
    "bits.lsh": ("bits.lsh(1, 4)", 16),
    "bits.negate": ("bits.negate(6)", -7),
    "bits.or": ("bits.or(6, 3)", 7),
    "bits.rsh": ("bits.rsh(16, 2)", 4),
    "bits.xor": ("bits.xor(6, 3)", 5),
    # collections
    "count": ('count("añb")', 3),
    "sum": ("sum([1, 2.5])", 3.5),
    "product": ("product([2, 3])", 6),
    "max": ("max([1, 3, 2])", 3),
    "min": ('min({"b", "a"})', "a"),
    "sort": ('sort({"b", 2, "a", null})', [None, 2, "a", "b"]),
    "array.concat": ("array.concat([1], [2])", [1, 2]),
    "array.flatten": ("array.flatten([1, [2, [3]]])", [1, 2, [3]]),
    "array.reverse": ("array.reverse([1, 2])", [2, 1]),
    "array.slice": ("array.slice([1, 2, 3], 1, 3)", [2, 3]),
    "intersection": ("intersection({{1, 2}, {2, 3}})", [2]),
    "union": ("union({{1}, {2}})", [1, 2]),
    "object.filter": ('object.filter({"a": 1, "b": 2}, ["a"])', {"a": 1}),
    "object.get": ('object.get({"a": {"b": 3}}, ["a", "b"], 7)', 3),
    "object.keys": ('object.keys({"a": 1, "b": 2})', ["a", "b"]),
    "object.remove": ('object.remove({"a": 1, "b": 2}, {"a"})', {"b": 2}),
    "object.subset": ('object.subset({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}})', True),
    "object.union": ('object.union({"a": {"x": 1}}, {"a": {"y": 2}})', {"a": {"x": 1, "y": 2}}),
    "object.union_n": ('object.union_n([{"a": 1}, {"b": 2}, {"a": 3}])', {"a": 3, "b": 2}),
    # documents
    "json.filter": ('json.filter({"a": {"b": 1, "c": 2}}, ["a/b"])', {"a": {"b": 1}}),
    "json.is_valid": ('json.is_valid("{}")', True),
    "json.marshal": ('json.marshal({"b": [1, "<"], "a": null})', '{"a":null,"b":[1,"\\u003c"]}'),
    "json.marshal_with_options": (
        'json.marshal_with_options({"a": 1}, {"indent": " "})',
        '{\n "a": 1\n}',
    ),
    "json.patch": (
        'json.patch({"a": 1}, [{"op": "add", "path": "/b", "value": 2}])',
        {"a": 1, "b": 2},
    ),
    "json.remove": ('json.remove({"a": {"b": 1, "c": 2}}, ["a/b"])', {"a": {"c": 2}}),
    "json.unmarshal": ('json.unmarshal("{\\"a\\": [1, 2.5]}")', {"a": [1, 2.5]}),
    "yaml.is_valid": ('yaml.is_valid("a: [1")', False),
    "yaml.unmarshal": ('yaml.unmarshal("a: [1, x]\\nb: true")', {"a": [1, "x"], "b": True}),
    # strings
    "concat": ('concat("/", {"b", "a"})', "a/b"),
    "contains": ('contains("abc", "b")', True),
    "endswith": ('endswith("abc", "bc")', True),
    "format_int": ("format_int(255.9, 16)", "ff"),
    "indexof": ('indexof("añb", "b")', 2),
    "indexof_n": ('indexof_n("aaa", "aa")', [0, 1]),
    "lower": ('lower("AÄ\u03a3")', "aä\u03c3"),
    "replace": ('replace("aaa", "a", "b")', "bbb"),
    "split": ('split("a,b", ",")', ["a", "b"]),
    "sprintf": ('sprintf("%s %05d %v", ["a", 42, {"k": [1]}])', 'a 00042 {"k": [1]}'),
    "startswith": ('startswith("abc", "ab")', True),
    "strings.any_prefix_match": ('strings.any_prefix_match("abc", ["x", "ab"])', True),
    "strings.any_suffix_match": ('strings.any_suffix_match({"abc", "d"}, "bc")', True),
    "strings.count": ('strings.count("abab", "ab")', 2),
    "strings.replace_n": ('strings.replace_n({"a": "b", "b": "a"}, "ab")', "ba"),
    "strings.reverse": ('strings.reverse("añb")', "bña"),
    "substring": ('substring("añbc", 1, 2)', "ñb"),
    "trim": ('trim("xxaxx", "x")', "a"),
    "trim_left": ('trim_left("xxax", "x")', "ax"),
    "trim_prefix": ('trim_prefix("abc", "a")', "bc"),
    "trim_right": ('trim_right("xaxx", "x")', "xa"),
    "trim_space": ('trim_space("  a \\n")', "a"),
    "trim_suffix": ('trim_suffix("abc", "c")', "ab"),
    "upper": ('upper("aäß")', "AÄß"),
    "regex.find_all_string_submatch_n": (
        'regex.find_all_string_submatch_n("a(.)", "abac", -1)',
        [["ab", "b"], ["ac", "c"]],
    ),
    "regex.find_n": ('regex.find_n("a.", "abacad", 2)', ["ab", "ac"]),
    "regex.is_valid": ('regex.is_valid("(?=a)")', False),
    "regex.match": ('regex.match("(?i)^A+b$", "aaab")', True),
    "regex.replace": ('regex.replace("abc", "(b)", "[$1]")', "a[b]c"),
    "regex.split": ('regex.split("[,;]", "a,b;c")', ["a", "b", "c"]),
    "regex.template_match": ('regex.template_match("urn:{[a-z]+}:x", "urn:foo:x", "{", "}")', True),
    "glob.match": ('glob.match("*.example.com", ["."], "www.example.com")', True),
    "glob.quote_meta": ('glob.quote_meta("*.a")', "\\*.a"),
    # types
    "is_array": ("is_array([])", True),
    "is_boolean": ("is_boolean(0)", False),
    "is_null": ("is_null(null)", True),
    "is_number": ("is_number(1)", True),
    "is_object": ("is_object({})", True),
    "is_set": ("is_set({1})", True),
    "is_string": ('is_string("")', True),
    "to_number": ('to_number("3.5")', 3.5),
    "type_name": ("type_name({1})", "set"),
    # encodings
    "base64.decode": ('base64.decode("YQ==")', "a"),
    "base64.encode": ('base64.encode("añ")', "YcOx"),
    "base64.is_valid": ('base64.is_valid("YQ=")', False),
    "base64url.decode": ('base64url.decode("Pz8-")', "??>"),
    "base64url.encode": ('base64url.encode("??>a")', "Pz8-YQ=="),
    "base64url.encode_no_pad": ('base64url.encode_no_pad("a")', "YQ"),
    "hex.decode": ('hex.decode("6162")', "ab"),
    "hex.encode": ('hex.encode("ab")', "6162"),
    "urlquery.decode": ('urlquery.decode("a+b%26c")', "a b&c"),
    "urlquery.decode_object": ('urlquery.decode_object("a=b&a=c")', {"a": ["b", "c"]}),
    "urlquery.encode": ('urlquery.encode("a b&c")', "a+b%26c"),
    "urlquery.encode_object": ('urlquery.encode_object({"b": ["x"], "a": "y z"})', "a=y+z&b=x"),
    # cryptography
    "crypto.hmac.equal": ('crypto.hmac.equal("a", "a")', True),
    "crypto.hmac.md5": ('crypto.hmac.md5("a", "k")', "ddcf3d210049e7135f61affae73731cd"),
    "crypto.hmac.sha1": (
        'crypto.hmac.sha1("a", "k")',
        "40e7d441cadb17b07f050341aa23a6820ed81c8b",
    ),
    "crypto.hmac.sha256": (
        'crypto.hmac.sha256("a", "k")',
        "78da91511e675587f5b9df78bedebaf5560da2abb88162ee875dcdf744951d9e",
    ),
    "crypto.hmac.sha512": (
        'substring(crypto.hmac.sha512("a", "k"), 0, 64)',
        "82e0c15e0d62ab17984bea225bf7d28ad54f343dd6520c283c3a2cd43852a2f7",
    ),
    "crypto.md5": ('crypto.md5("a")', "0cc175b9c0f1b6a831c399e269772661"),
    "crypto.sha1": ('crypto.sha1("a")', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    "crypto.sha256": (
        'crypto.sha256("a")',
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    ),
    "io.jwt.decode": (f'io.jwt.decode("{TOKEN}")[1]', {"sub": "ann"}),
    "io.jwt.decode_verify": (
        f'io.jwt.decode_verify("{TOKEN}", {{"secret": "wrong"}})',
        [False, {}, {}],
    ),
    # time
    "time.add_date": ("time.add_date(1577836800000000000, 1, 2, 3)", 1614816000000000000),
    "time.clock": ('time.clock([1577836801000000000, "Europe/Berlin"])', [1, 0, 1]),
    "time.date": ("time.date(1577836800000000000)", [2020, 1, 1]),
    "time.diff": ("time.diff(1609459200000000000, 1577836800000000000)", [1, 0, 0, 0, 0, 0]),
    "time.format": ("time.format(1577836800500000000)", "2020-01-01T00:00:00.5Z"),
    "time.now_ns": ("time.now_ns()", NOW),
    "time.parse_duration_ns": ('time.parse_duration_ns("1h30m")', 5400000000000),
    "time.parse_ns": ('time.parse_ns("2006-01-02", "2020-05-06")', 1588723200000000000),
    "time.parse_rfc3339_ns": (
        'time.parse_rfc3339_ns("2026-01-01T00:00:00Z")',
        1767225600000000000,
    ),
    "time.weekday": ('time.weekday([1577836800000000000, "America/New_York"])', "Tuesday"),
    # networks, versions
    "net.cidr_contains": ('net.cidr_contains("10.0.0.0/8", "10.1.2.3")', True),
    "net.cidr_contains_matches": (
        'net.cidr_contains_matches(["10.0.0.0/8", "11.0.0.0/8"], {"a": "11.1.1.1"})',
        [[1, "a"]],
    ),
    "net.cidr_expand": ('net.cidr_expand("10.0.0.0/31")', ["10.0.0.0", "10.0.0.1"]),
    "net.cidr_intersects": ('net.cidr_intersects("10.0.0.0/8", "10.1.0.0/16")', True),
    "net.cidr_is_valid": ('net.cidr_is_valid("10.0.0.0/33")', False),
    "net.cidr_merge": ('net.cidr_merge(["10.0.0.0/9", "10.128.0.0/9"])', ["10.0.0.0/8"]),
    "semver.compare": ('semver.compare("1.2.3", "1.10.0")', -1),
    "semver.is_valid": ('semver.is_valid("1.2")', False),
    "rand.intn": ('rand.intn("a", 1)', 0),
    "uuid.rfc4122": ('regex.match("^[0-9a-f]{8}-", uuid.rfc4122("a"))', True),
}
"""By function: an expression, and what it comes to."""

VERIFIED = {
    f"io.jwt.verify_{family}{bits}"
    for family in ("es", "hs", "ps", "rs")
    for bits in (256, 384, 512)
} | {"io.jwt.verify_eddsa"}
"""Tested with real keys in `functions/test_jwt.py`."""

REFUSED = [
    # offered by Octelium's own engine
    'crypto.x509.parse_certificates("x")',
    'crypto.x509.parse_and_verify_certificates("x")',
    'http.send({"method": "get", "url": "http://127.0.0.1:1"})',
    "io.jwt.encode_sign({}, {}, {})",
    'io.jwt.encode_sign_raw("", "", "")',
    'regex.globs_match("a*", "b*")',
    'strings.render_template("{{.a}}", {"a": 1})',
    "yaml.marshal({})",
    # offered nowhere
    "print(1)",
    'trace("x")',
    "walk(input)",
    "opa.runtime()",
    'rego.parse_module("a", "b")',
    "rego.metadata.rule()",
    'net.lookup_ip_addr("example.com")',
    "graph.reachable({}, [])",
    'graphql.parse("", "")',
    'crypto.parse_private_keys("x")',
    'uuid.parse("x")',
    'units.parse("1K")',
    "json.match_schema({}, {})",
    'net.cidr_overlap("10.0.0.0/8", "10.0.0.1")',
    "all([true])",
    "any([true])",
    'md5("a")',
    "internal.print([1])",
    "no.such.function(1)",
    "nothing(1)",
]


@pytest.mark.parametrize("name", sorted(WORKS))
def test_offered_functions_work(name: str) -> None:
    expression, expected = WORKS[name]
    assert f"{name}(" in expression
    found = value(expression)
    assert found == expected
    assert type(found) is type(expected)


def test_every_offered_function_is_tested() -> None:
    assert set(WORKS) | VERIFIED == OFFERED
    assert set(FUNCTIONS) == OFFERED | OPERATORS
    assert VOLATILE <= OFFERED


@pytest.mark.parametrize("expression", REFUSED)
def test_other_functions_are_refused(expression: str) -> None:
    name = expression.partition("(")[0]
    assert refusal(name) is not None
    for use in (expression, f"[1 | {expression}]", f"count([x | x := {expression}])"):
        with pytest.raises(RegoSyntaxError, match=r"line 2: .* may not be called"):
            value(use)
    with pytest.raises(RegoSyntaxError, match="may not be called"):
        value(f"1\nnever_asked if not {expression}")


def test_a_replaced_function_is_refused() -> None:
    with pytest.raises(RegoSyntaxError, match="may replace nothing but input"):
        value("1 with count as 3")


def test_wrong_numbers_of_arguments_are_refused() -> None:
    for expression in ("count()", "count([1], 1)", "startswith(1)", "time.now_ns(1)"):
        with pytest.raises(RegoSyntaxError, match="argument"):
            value(expression)


def test_nothing_is_undefined_but_what_opa_leaves_so() -> None:
    assert value("max([])") is UNDEFINED
    assert value("min(set())") is UNDEFINED
