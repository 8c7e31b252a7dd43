from __future__ import annotations

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.objects.encoding import encode

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.text("\\u\x7f\x85\u2028\ufffe😀\n\"'")


def test_characters_beyond_the_basic_plane_stand_for_themselves() -> None:
    assert encode({"a": "é\x7f\u2028😀\\"}) == '{"a":"\\u00e9\\u007f\\u2028😀\\\\"}'.encode()


@given(st.dictionaries(TEXT, TEXT))
def test_what_is_read_as_json_is_what_was_meant(manifest: dict[str, str]) -> None:
    assert json.loads(encode(manifest)) == manifest


@given(st.dictionaries(st.sampled_from("abc"), TEXT))
def test_what_is_read_as_yaml_is_the_same(manifest: dict[str, str]) -> None:
    assert yaml.safe_load(encode(manifest).decode()) == manifest
