from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.errors import (
    DocumentError,
    Invalid,
    InvalidDocuments,
    Step,
    path_steps,
    render_path,
    sentence,
    under,
)


@pytest.mark.parametrize(
    ("steps", "rendered"),
    [
        ((), ""),
        (("spec",), "spec"),
        (("spec", "rules", 2, "condition", "match"), "spec.rules[2].condition.match"),
        ((0, "a"), "[0].a"),
        (("labels", "a.b"), 'labels["a.b"]'),
        (("labels", "a-b"), "labels.a-b"),
        (("labels", ""), 'labels[""]'),
    ],
)
def test_paths(steps: tuple[Step, ...], rendered: str) -> None:
    assert render_path(steps) == rendered
    assert path_steps(rendered) == steps


NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"[]'), max_size=8)


@given(st.lists(NAMES | st.integers(0, 99)).map(tuple))
def test_paths_and_back(steps: tuple[Step, ...]) -> None:
    assert path_steps(render_path(steps)) == steps


def test_a_part_of_a_path() -> None:
    assert under("spec", "a") == "spec.a"
    assert under("spec", "a b") == 'spec["a b"]'
    assert under("", "a") == "a"
    assert under("spec", 3) == "spec[3]"


def test_a_fault_is_one_readable_line() -> None:
    assert str(Invalid("spec.port", "is missing", "give a port")) == (
        "spec.port: is missing (give a port)"
    )
    assert str(Invalid("", "no")) == "no"
    assert sentence("a", "b", "") == "a: b"


def test_a_fault_seen_from_outside() -> None:
    assert Invalid("a", "x").within("spec").path == "spec.a"
    assert Invalid("[1].a", "x").within("rules").path == "rules[1].a"
    assert Invalid("", "x").within("rules").path == "rules"
    assert Invalid("a", "x", "y").within("").path == "a"
    assert Invalid("a", "x", "y").within("b").remedy == "y"


def test_faults_of_documents_name_their_place() -> None:
    errors = [
        DocumentError("a.yaml", 2, 7, "spec.x", "unknown field", "did you mean y?"),
        DocumentError("b.yaml", 1, 1, "", "not YAML"),
    ]
    assert str(InvalidDocuments(errors)).splitlines() == [
        "a.yaml:7 (document 2): spec.x: unknown field (did you mean y?)",
        "b.yaml:1 (document 1): not YAML",
    ]


def test_no_part_of_a_fault_begins_a_line() -> None:
    """What CI systems take for an order stands at the beginning of a line."""
    order = "\n::error::x"
    error = DocumentError(order, 1, 2, order, order, order, 3, "::error::x\n^")
    assert str(error).splitlines() == [
        r"\n::error::x:2:3 (document 1): \n::error::x: \n::error::x (\n::error::x)",
        "  | ::error::x",
        "  | ^",
    ]
    whole = DocumentError(order, 0, 0, "", "is no file")
    assert str(whole) == r"\n::error::x: is no file"
