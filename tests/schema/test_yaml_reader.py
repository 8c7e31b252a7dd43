from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from octelium.schema import yaml_reader
from tests.peers.timing import within
from tests.schema.messages import JSON_VALUES, TEXTS


def value_of(text: str) -> Any:
    [tree] = yaml_reader.read(text)
    assert not tree.faults
    return tree.value


def faults_of(text: str) -> list[tuple[int, str, str]]:
    return [
        (fault.line, fault.problem.problem, fault.problem.remedy)
        for tree in yaml_reader.read(text)
        for fault in tree.faults
    ]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False),
        ("yes", "yes"), ("NO", "NO"), ("on", "on"), ("y", "y"),
        ("1", 1), ("-1", -1), ("+1", 1), ("0", 0), ("0x1F", 31), ("0o17", 15),
        ("017", "017"), ("1_000", "1_000"), ("1:30", "1:30"), ("1.5", 1.5), ("1.", 1.0),
        (".5", 0.5), ("1e3", 1000.0), ("-.inf", float("-inf")), ("1.2.3", "1.2.3"),
        ("2020-01-01", "2020-01-01"), ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("'1'", "1"), ('"true"', "true"), ("!!str 1", "1"), ('!!int "7"', 7),
        ("!!binary aGk=", "aGk="), ("!!timestamp 2020-01-01", "2020-01-01"),
        ("0" * 50, "0" * 50), ("9" * 41, float("9" * 41)),
        ("|\n  a\n  b\n", "a\nb\n"), (">-\n  a\n  b\n", "a b"),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema(scalar: str, value: Any) -> None:
    found = value_of(f"a: {scalar}\n")["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_texts() -> None:
    assert value_of("{1: a, yes: b, null: c, 1.5: d}") == {
        "1": "a",
        "yes": "b",
        "null": "c",
        "1.5": "d",
    }


def test_documents_are_counted_and_empty_ones_have_no_value() -> None:
    trees = list(yaml_reader.read("# nothing\n---\na: 1\n---\n---\n- b\n...\n---\nc: 2\n"))
    assert [(tree.index, tree.value) for tree in trees] == [
        (1, {"a": 1}),
        (2, None),
        (3, ["b"]),
        (4, {"c": 2}),
    ]
    assert [tree.line for tree in trees if tree.value] == [3, 6, 9]
    assert list(yaml_reader.read("")) == []
    assert list(yaml_reader.read("# only a comment\n")) == []


def test_lines_of_places() -> None:
    [tree] = yaml_reader.read("a:\n  b:\n    - x\n    - {c: 1,\n       d: 2}\n  e: 3\n")
    for steps, line in [
        ((), 1), (("a",), 1), (("a", "b"), 2), (("a", "b", 0), 3), (("a", "b", 1), 4),
        (("a", "b", 1, "d"), 5), (("a", "e"), 6), (("a", "b", 9), 2), (("a", "e", "deeper"), 6),
    ]:  # fmt: skip
        assert tree.line_of(steps) == line, steps


def test_aliases_and_merge_keys() -> None:
    text = "a: &x {p: 1, q: [2]}\nb: *x\nc: {<<: *x, p: 3}\nd: {<<: [*x, {p: 5, r: 6}]}\n"
    found = value_of(text)
    assert found["b"] == {"p": 1, "q": [2]}
    assert found["c"] == {"p": 3, "q": [2]}
    assert found["d"] == {"p": 1, "q": [2], "r": 6}
    assert value_of("a: &k key\n*k : 1\n") == {"a": "key", "key": 1}


@pytest.mark.parametrize(
    ("text", "line", "problem", "remedy"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "given twice, first in line 1", "keep one"),
        ("? [a]\n: 1\n", 1, "cannot be a key", "quotes"),
        ("? {a: b}\n: 1\n", 1, "cannot be a key", "quotes"),
        ("a: *x\n", 1, "*x refers to no &x", "begins with *"),
        ("a: &x [*x]\n", 1, "*x refers to no &x", "begins with *"),
        ("a: &x {b: *x}\n", 1, "*x refers to no &x", "begins with *"),
        ("b: &x [1]\n*x : 2\n", 2, "cannot be a key", ""),
        ("a: {<<: 1}\n", 1, "<< takes an object", ""),
        ("a: !ctx.b == 1\n", 1, "!ctx.b is read as a tag", "begins with !"),
        ("a: !foo [1]\n", 1, "unknown tag !foo", "remove it"),
        ("a: !!set {b}\n", 1, "unknown tag tag:yaml.org,2002:set", ""),
        ("a: !!python/object:os.system {b: c}\n", 1, "unknown tag", ""),
        ("a: !!python/name:os.system x\n", 1, "is read as a tag", ""),
        ("a:\n\tb: 1\n", 2, "not YAML", "spaces, not with tabs"),
        ("a: b: c\n", 1, "mapping values are not allowed", 'a value that contains ": "'),
        ("a: ! ctx.b\n", 1, "! is read as a tag", "a: '! ctx.b'"),
        ("a: ! 'b'\n", 1, "! is read as a tag", "begins with !"),
        ("a: @b\n", 1, "begins with @ needs quotes", "a: '@b'"),
        ("a: `b`\n", 1, "begins with ` needs quotes", "a: '`b`'"),
        ("a: %b\n", 1, "begins with % needs quotes", "a: '%b'"),
        ("a: @b\x7f\n", 1, "control characters", ""),
        ("@a: b\n", 1, "cannot start any token", "begins with one of @"),
        ("a: &\n", 1, "alphabetic or numeric", "begins with one of @"),
        ("a: [1, 2\n", 2, "not YAML", "brackets"),
        ('a: "b\n', 2, "not YAML", "quotes"),
        ("a:\n  b: 1\n c: 2\n", 3, "not YAML", "indentation"),
        ("a: \x01\n", 1, "control characters are not allowed", "UTF-8"),
        ('a: "\\ud83d\\ude00"\n', 1, "invalid Unicode character escape", "the character itself"),
        ("x: 1\na: \ud800\n", 2, "half of a surrogate pair", ""),
        ('a: "x" in b\n', 1, "after its closing quote", "a: '\"x\" in b'"),
        ("a: 'x' in b\n", 1, "after its closing quote", "a: \"'x' in b\""),
        ('- "x" in b\n', 1, "not YAML", "quotes: '\"x\" in b'"),
        ('a: {b: "x" in c}\n', 1, "not YAML", "b: '\"x\" in c'"),
        ('a: ["x" == c]\n', 1, "not YAML", "quotes: '\"x\" == c'"),
        ("a: [1].b\n", 1, "after its closing bracket", "a: '[1].b'"),
        ("a: b ? c : d\n", 1, "holds \": \"", "a: 'b ? c : d'"),
        ('a: "x"y\n', 1, "did not find expected key", "other kind of quotes"),
    ],
)  # fmt: skip
def test_faults(text: str, line: int, problem: str, remedy: str) -> None:
    [(found_line, found_problem, found_remedy)] = faults_of(text)
    assert found_line == line
    assert problem in found_problem
    assert remedy in found_remedy


def test_reading_goes_on_with_the_next_document() -> None:
    text = "a: 1\n---\nb: [\n---\nc: 2\n---\nd: b: c\n---\ne: 3\n"
    trees = list(yaml_reader.read(text))
    assert [
        (tree.index, tree.line, tree.broken, tree.value) for tree in trees if not tree.broken
    ] == [
        (1, 1, False, {"a": 1}),
        (3, 5, False, {"c": 2}),
        (5, 9, False, {"e": 3}),
    ]
    assert [tree.index for tree in trees if tree.broken] == [2, 4]
    assert [fault.line for tree in trees for fault in tree.faults] == [4, 7]


def test_reading_ends_after_many_broken_documents() -> None:
    trees = list(yaml_reader.read("a: [\n---\n" * 50 + "b: 1\n"))
    assert len(trees) == yaml_reader.MAX_BROKEN
    assert all(tree.broken for tree in trees)


def test_the_number_of_faults_is_bounded() -> None:
    [first, second] = yaml_reader.read("a: 1\n" * 10_000 + "---\nb: 2\n")
    assert (len(first.faults), first.broken) == (yaml_reader.MAX_FAULTS, True)
    assert second.value == {"b": 2}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert value_of("{'<<': 1, \"a\": 2}") == {"<<": 1, "a": 2}


def test_faults_are_in_the_tree_that_has_them() -> None:
    first, second, third = yaml_reader.read("a: *x\nb: *y\n---\nc: 1\nc: 2\n---\nd: 1\n")
    assert (len(first.faults), first.broken) == (1, True)
    assert (len(second.faults), second.broken) == (1, False)
    assert second.value == {"c": 2}
    assert (third.faults, third.value) == ([], {"d": 1})


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "{a: " * 100_000,
        "- " * 200_000,
        "\n".join(" " * i + "a:" for i in range(3000)),
        "? " * 100_000,
        "&a " * 50_000,
        "a: " + "[" * 101 + "]" * 101,
    ],
    ids=["lists", "objects", "block lists", "block objects", "keys", "anchors", "101 levels"],
)
def test_depth_is_bounded(text: str) -> None:
    with within(2):
        assert faults_of(text)


def test_the_greatest_depth_is_read() -> None:
    assert value_of("[" * yaml_reader.MAX_DEPTH + "]" * yaml_reader.MAX_DEPTH)


def test_what_aliases_expand_to_is_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        inner = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{inner}]")
    with within(1):
        [(_, problem, _)] = faults_of("\n".join(lines))
    assert "more than 1000000 values" in problem


def test_what_merge_keys_expand_to_is_bounded() -> None:
    keys = ", ".join(f"k{number}: 1" for number in range(1000))
    merges = "\n".join(f"m{number}: {{<<: *b}}" for number in range(1100))
    [(_, problem, _)] = faults_of(f"b: &b {{{keys}}}\n{merges}\n")
    assert "more than 1000000 values" in problem


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_reader, "MAX_TEXT", 1024 * 1024)
    assert faults_of("a" * 1024 * 1024) == []
    [(line, problem, _)] = faults_of("a" * (1024 * 1024 + 1))
    assert (line, problem) == (1, "the text is larger than 1 MiB")


@settings(max_examples=300)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            ["a", "- ", ": ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "!", "!t ", "'",
             '"',
             "|", ">", "?", "---", "...", "#", "%", "<<", "\t", "1", "~", "\\u", "\r", "\x85",
             "\x00", "\ud800", "\u2028", "é", "@"]
        ),
        max_size=25,
    ).map("".join)
)  # fmt: skip
def test_any_text_is_read_or_has_faults(text: str) -> None:
    """Documents are in order, and whatever is read without fault is made of plain values."""

    def plain(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                assert isinstance(key, str)
                plain(item)
        elif isinstance(value, list):
            for item in value:
                plain(item)
        else:
            assert value is None or isinstance(value, bool | int | float | str)

    trees = list(yaml_reader.read(text))
    assert [tree.index for tree in trees] == list(range(1, len(trees) + 1))
    for tree in trees:
        assert (
            1
            <= tree.line
            <= text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + 1
        )
        assert bool(tree.faults) or not tree.broken
        plain(tree.value)
        for fault in tree.faults:
            assert fault.line >= 1
            assert fault.problem.problem


@given(st.dictionaries(TEXTS, JSON_VALUES, max_size=4), st.sampled_from([None, 1]))
def test_json_is_yaml(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assume("\\ud" not in text)  # YAML has no escapes for halves of surrogate pairs
    assert value_of(text) == value


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader])
def test_the_parser_without_libyaml_serves_as_well(
    loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_reader, "_Loader", loader)
    assert value_of("a: &x {b: [1, 'c']}\nd: *x\n") == {"a": {"b": [1, "c"]}, "d": {"b": [1, "c"]}}
    assert faults_of("a: b: c\n")
    assert faults_of("a: \x01\n")


def test_a_part_as_a_document_of_its_own() -> None:
    [tree] = yaml_reader.read("a: &x\n  b: 1\nitems:\n  - b: 2\n    c:\n      - 3\n  - *x\n")
    first = tree.part(("items", 0), {"b": 2})
    assert (first.index, first.line, first.value, first.faults) == (1, 4, {"b": 2}, [])
    assert (first.line_of(("c", 0)), first.line_of(("b",)), first.line_of(("z",))) == (6, 4, 4)
    aliased = tree.part(("items", 1), None)
    assert (aliased.line, aliased.line_of(("b",))) == (7, 2)
    nowhere = tree.part(("items", 9, "b"), None)
    assert nowhere.line_of(("b",)) == nowhere.line
