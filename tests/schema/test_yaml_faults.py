from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema import yaml_reader
from octelium.schema.documents import parse_documents
from octelium.schema.errors import InvalidDocuments

if TYPE_CHECKING:
    from octelium.schema.yaml_faults import Fault


def fault_of(text: str) -> Fault:
    [fault] = [fault for tree in yaml_reader.read(text) for fault in tree.faults]
    return fault


@pytest.mark.parametrize(
    ("text", "place", "excerpt"),
    [
        ("a: 1\n  b: @c\n", (2, 4), "b: @c\n ^"),
        ("a:\n    - @c   \n", (2, 7), "- @c\n  ^"),
        ("a:\n  - b: *c.d\n", (2, 8), "- b: *c.d\n     ^"),
        ("a: !b c\n", (1, 4), "a: !b c\n   ^"),
        ("a: 1\n---\nb: [1].c\n", (3, 4), "b: [1].c\n   ^"),
        ("a: [\n", (2, 1), ""),
        ("a:\n\tb: 1\n", (2, 1), " b: 1\n^"),
        ('a: "b" : c\n', (1, 8), 'a: "b" : c\n       ^'),
        ("a: 1\nb: 2\na: 3\n", (3, 0), ""),
    ],
)
def test_the_place_and_the_line(text: str, place: tuple[int, int], excerpt: str) -> None:
    fault = fault_of(text)
    assert (fault.line, fault.column) == place
    assert fault.excerpt == excerpt


@given(st.integers(0, 60), st.integers(0, 400), st.integers(0, 400))
def test_the_mark_is_below_the_place(indentation: int, before: int, after: int) -> None:
    text = f"{' ' * indentation}[{'x, ' * before}@, {'y, ' * after}]\n"
    shown, mark = fault_of(text).excerpt.split("\n")
    assert shown[mark.index("^")] == "@"
    assert len(shown) <= 100


@pytest.mark.parametrize(
    "document",
    [
        "kind: Secret\ndata:\n  value: {}\n",
        "data:\n  value: {}\nkind: Secret\n",
        '{{"kind": "Secret",\n "data": {{\n "value": {}}}}}\n',
        "metadata: {{name: a}}\nkind: 'Config'\ndata:\n  value: {}\n",
    ],
)
@pytest.mark.parametrize(
    "value", ['"hunter2" x', "!hunter2 x", "hunter2: x", "@hunter2", "*hunter2"]
)
def test_lines_of_secrets_are_not_shown(document: str, value: str) -> None:
    text = "kind: User\n---\n" + document.format(value) + "---\nkind: Group\nspec: @x\n"
    with pytest.raises(InvalidDocuments) as caught:
        parse_documents(text, "f.yaml")
    told = str(caught.value)
    assert "f.yaml:" in told
    assert "hunter" not in told
    assert "spec: '@x'" in told


def test_other_documents_are_shown() -> None:
    text = "kind: Secret\n---\nkind: User\ndescription: about kind: Secret: @x\n"
    assert fault_of(text).excerpt == ""  # it may be one
    text = "kind: Secret\n---\nkind: User\na: @x\n---\nkind: Secret\n"
    assert fault_of(text).excerpt == "a: @x\n   ^"
