from __future__ import annotations

import json
from typing import Any

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.formats import Format, json_line, json_text, yaml_text
from octelium.schema import yaml_reader
from octelium.schema.unseen import has_unseen


def test_forms_in_any_case() -> None:
    chosen = Format(("table", "json", "yaml"))
    assert chosen.convert("JSON", None, None) == "json"
    assert chosen.convert("yml", None, None) == "yaml"
    with pytest.raises(click.BadParameter, match="invalid output format 'name'"):
        chosen.convert("name", None, None)


def test_completion() -> None:
    context = click.Context(click.Command("x"))
    items = Format(("json", "yaml")).shell_complete(context, click.Option(["-o"]), "j")
    assert [item.value for item in items] == ["json"]


def test_json_as_the_official_clients_indent_it() -> None:
    assert json_text({"a": [1]}) == '{\n    "a": [\n        1\n    ]\n}'
    assert json_line({"a": "\x9b", "b": 1}) == '{"a":"\\u009b","b":1}'
    assert json.loads(json_line({"a": "\x9b"})) == {"a": "\x9b"}


def test_yaml_shows_texts_of_several_lines_as_they_are() -> None:
    value = {"b": "one\ntwo\n", "a": ["yes", "1", "\x1b[2J"], "c": {}}
    text = yaml_text(value)
    assert text.startswith("b: |\n  one\n  two\na:\n")
    assert "\x1b" not in text
    assert [tree.value for tree in yaml_reader.read(text)] == [value]


UNSEEN = "\x1b\x9b\xad\u061c\u200b\u200d\u2028\u202e\u2066\ufeff\U000e0041"


@given(
    st.recursive(
        st.text(st.sampled_from(UNSEEN + "ab:#\n '\"-")) | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(UNSEEN + "ab", min_size=1), inner),
        max_leaves=6,
    )
)
def test_no_form_of_output_moves_what_is_read(value: Any) -> None:
    for text, read in (
        (yaml_text(value), yaml.safe_load),
        (json_text(value), json.loads),
        (json_line(value), json.loads),
    ):
        assert not has_unseen(text)
        assert read(text) == value
