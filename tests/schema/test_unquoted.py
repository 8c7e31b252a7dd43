from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from octelium.schema import yaml_reader
from octelium.schema.unquoted import Rewrite, quote, rewrite, span_of
from tests.conftest import SOAK
from tests.peers.timing import within

LOADER: Any = yaml.CSafeLoader
EXPRESSIONS = [
    '"ops" in ctx.user.spec.groups',
    "'ops' in ctx.user.spec.groups",
    '"HUMAN" == ctx.user.spec.type',
    '"HUMAN" != ctx.user.spec.type',
    '"a" + "b" == ctx.user.metadata.name',
    '"it\'s" == ctx.user.metadata.displayName',
    '"say \\"hi\\"" == ctx.user.metadata.displayName',
    '"a".startsWith("b") || ctx.c',
    '"#1" in ctx.user.spec.groups',
    '"a: b" in ctx.user.spec.groups',
    "!ctx.user.spec.isDisabled",
    "! ctx.user.spec.isDisabled",
    "!(ctx.user.spec.type == 'HUMAN')",
    '!("ops" in ctx.user.spec.groups)',
    '!"ops".startsWith(ctx.user.metadata.name)',
    "!ctx.a && !ctx.b",
    "!has(ctx.request.http.headers['x'])",
    "![1, 2].exists(x, x == 1)",
    "[1, 2].exists(x, x == ctx.n)",
    "['a', 'b'].exists(g, g in ctx.user.spec.groups)",
    '["GET", "HEAD"].exists(m, m == ctx.request.http.method) && !ctx.x',
    "[1, 2] == ctx.list",
    '{"a": 1}.a == 1',
    '{"a": [1, {"b": 2}]}["a"][0] == 1',
    "*.example.com",
    "*ctx == 1",
    "&& ctx.a",
    "%41lice",
    "@alice",
    "`ctx.a` == 1",
    "`ctx`",
    "ctx.a ? 'b' : 'c'",
    'ctx.a ? "b" : "c"',
    "ctx.m == {'a': 1}",
    'ctx.m == {"a": 1, "b": [2]}',
    'ctx.a.contains("b: c")',
    "-(ctx.a) == 1 ? 2 : 3",
]
PLACES = {
    "entry": "a:\n  match: {}\n  after: 1\n",
    "item": "a:\n  - {}\n  - after\n",
    "entry of an item": "all:\n  of:\n    - match: {}\n    - match: ctx.b\n",
    "item of an item": "- - {}\n  - b\n",
    "last without a newline": "before: 1\nmatch: {}",
    "quoted key": '"match": {}\nafter: 1\n',
    "object": "a: [b, {{match: {}, effect: ALLOW}}]\n",
    "list": "- any: {{of: [ctx.b, {}]}}\n",
    "comment": "a:\n  - match: {} # why\n  - b\n",
    "second document": "a: 1\n---\nmatch: {}\n",
    "Windows": "a: 1\r\nmatch: {}\r\nb: 2\r\n",
}


def first_error(text: str) -> tuple[int, int] | None:
    """Where the parser stumbles, or the strict reader refuses a tag or an alias."""
    try:
        for event in yaml.parse(text, Loader=LOADER):
            tagged = getattr(event, "tag", None) is not None
            if tagged or isinstance(event, yaml.AliasEvent):
                mark: Any = event.start_mark
                return mark.line, mark.column
    except yaml.MarkedYAMLError as error:
        found: Any = error.problem_mark
        return found.line, found.column
    return None


def proposed(text: str) -> tuple[Rewrite, str] | None:
    """What is proposed for the first error of a text, and the text with it."""
    place = first_error(text)
    assert place is not None
    found = rewrite(text, *place, LOADER)
    if found is None:
        return None
    assert found.start == span_of(text, place[0])[0] + found.column
    assert text[found.start :].startswith(found.value)
    return found, found.within(text)


def texts_of(text: str) -> list[str]:
    """All scalars."""
    events = yaml.parse(text, Loader=LOADER)
    return [event.value for event in events if isinstance(event, yaml.ScalarEvent)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions(expression: str, place: str) -> None:
    text = PLACES[place].format(expression)
    try:
        read = texts_of(text) if first_error(text) is None else []
    except yaml.YAMLError:
        read = []
    if expression in read:
        return  # it needs no quotes there
    if first_error(text) is None:  # YAML, though something else than what is meant
        assert place in ("item", "item of an item", "object", "list")
        return
    found = proposed(text)
    assert found is not None
    rewritten, mended = found
    assert rewritten.value == expression
    assert expression in texts_of(mended)
    key = "" if place in ("item", "item of an item", "list") else "match: "
    assert rewritten.entry.replace('"match"', "match") == key + rewritten.quoted


@pytest.mark.parametrize(
    "text",
    [
        'a: "b": 1\n',  # a line break is missing, or JSON is meant
        'a: "b",\n',
        'a: "b", "c"\n',
        "a: 'it's'\n",  # which quotes are of the text?
        "a: 'the users' home'\n",
        'a: "b" == "c\n',
        'a: ""b""\n',
        'a: "b"c\n',
        'a: "b\n',
        "metadata: name: x\n",
        "kind: User metadata: x\n",
        "a: *b\n",  # an alias
        "a: !!foo b\n",
        "a: !<x> b\n",
        "a: | b\n",
        "a: > b\n",
        "a: [b\n",
        "a: {b: 1\nc: 2\n",
        "a: [b]: c\n",
        "a: \x7f@b\n",
        "a: @b\u00a0\n",
        "a:\n\tb: 1\n",
        "a: - b\n",
        "@a: b\n",
        "a:\n  @b\n",
        "a: [b, {c: !}, d: e}]\n",
        "a: " + "@" * 2000 + "\n",
    ],
)
def test_nothing_is_proposed_for_what_may_be_meant_otherwise(text: str) -> None:
    try:
        place = first_error(text)
    except yaml.YAMLError:  # without a place
        return
    assert place is not None
    assert rewrite(text, *place, LOADER) is None


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('"a" in b', "'\"a\" in b'"),
        ("'a' in b", "\"'a' in b\""),
        ("'a' in \"b\"", "'''a'' in \"b\"'"),
        ("'\\d' in b", "'''\\d'' in b'"),
        ("!a", "'!a'"),
    ],
)
def test_the_quotes_that_read_best(text: str, quoted: str) -> None:
    assert quote(text) == quoted
    assert yaml.safe_load(quoted) == text


PRINTABLE = st.text(st.characters(codec="utf-8").filter(str.isprintable), max_size=30)


@given(PRINTABLE)
def test_quoted_texts_are_read_back(text: str) -> None:
    assert yaml.safe_load(f"a: {quote(text)}") == {"a": text}


PARTS = st.sampled_from(
    [*"!&*%@`'\"[]{}().,:?#|>-\\= ", ": ", " #", '"a"', "'a'", "ctx.a", " in ", " == ", "f(", "é"]
)


@settings(max_examples=2000 if SOAK else 150)
@given(st.lists(PARTS, min_size=1, max_size=9).map("".join), st.sampled_from(sorted(PLACES)))
def test_what_is_proposed_gives_back_what_was_written(text: str, place: str) -> None:
    text = text.strip()
    flow = place in ("object", "list")
    assume(text and (not flow or "," not in text))
    whole = PLACES[place].format(text)
    try:
        if first_error(whole) is None:
            return
    except yaml.YAMLError:
        return
    found = proposed(whole)
    if found is None:
        return
    rewritten, mended = found
    assert rewritten.value in texts_of(mended)
    assert yaml.safe_load(rewritten.quoted) == rewritten.value
    if " #" not in text:
        # A part of a collection in the text may be what lacks quotes, and nothing else is left out.
        assert rewritten.value == text or text[0] in "[{" or flow


@settings(max_examples=2000 if SOAK else 100)
@given(st.text(max_size=40), st.integers(0, 4), st.integers(0, 40))
def test_any_text_at_any_place(text: str, line: int, column: int) -> None:
    found = rewrite(text, line, column, LOADER)
    if found is not None:
        assert yaml.safe_load(found.quoted) == found.value
        assert found.value in text


@given(st.lists(st.sampled_from(["a", "\n", "\r\n", "\r", "\x85", "\u2028", " "]), max_size=12))
def test_lines_are_the_parser_s(parts: list[str]) -> None:
    text = "".join(parts)
    start, end = span_of(text, 1)
    lines = [*text.splitlines(), "", ""]
    assert text[start:end] == lines[1]


@pytest.mark.parametrize("part", ["[", "{", "(", '"a" ', "'", "[a,", "{a: [", "!", "a: ", " #"])
def test_long_lines_are_not_looked_at(part: str) -> None:
    with within(1):
        for length in (900, 100_000):
            text = f"a: {(part * length)[:length]}\n"
            for column in range(3, 900, 100):
                rewrite(text, 0, column, LOADER)


def test_the_reader_says_what_to_write() -> None:
    text = 'kind: Policy\nspec:\n  - match: "ops" in ctx.user.spec.groups\n'
    [tree] = yaml_reader.read(text)
    [fault] = tree.faults
    assert (fault.line, fault.column) == (3, 12)
    assert fault.problem.problem == "not YAML: the text goes on after its closing quote"
    assert fault.problem.remedy == (
        "put the whole text in quotes: match: '\"ops\" in ctx.user.spec.groups'"
    )
    assert fault.excerpt == '- match: "ops" in ctx.user.spec.groups\n         ^'
