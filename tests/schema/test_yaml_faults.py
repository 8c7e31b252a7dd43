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


def test_all_texts_of_a_document_that_lack_quotes_are_listed() -> None:
    text = (
        'a: 1\n---\nb:\n  - "x" in c\n  - d\n  - !e f\n  - {g: [1].h}\n'
        "i: *j.k\nl: m: n\no: @p\n---\nq: @r\n---\ns: 1\n"
    )
    first, second, third, fourth = yaml_reader.read(text)
    assert (first.value, first.faults, fourth.value, fourth.faults) == ({"a": 1}, [], {"s": 1}, [])
    assert (second.broken, second.index, third.broken, third.index) == (True, 2, True, 3)
    # What comes after a line that is not understood is not looked at.
    assert [(fault.line, fault.column) for fault in second.faults] == [
        (4, 5), (6, 5), (7, 9), (8, 4), (9, 5),
    ]  # fmt: skip
    assert [fault.line for fault in third.faults] == [12]


def test_as_many_texts_as_broken_documents() -> None:
    text = "a: 1\n---\n" + "- @b\n" * 100 + "---\nc: 1\n"
    first, second = yaml_reader.read(text)
    assert not first.faults
    assert [fault.line for fault in second.faults] == list(range(3, 3 + yaml_reader.MAX_BROKEN))


def test_a_broken_document_is_not_used() -> None:
    with pytest.raises(InvalidDocuments) as caught:
        parse_documents("kind: Group\nmetadata: {name: a}\nspec: {}\nx: @y\nz: !a b\n", "f")
    assert [error.line for error in caught.value.errors] == [4, 5]


def test_two_texts_of_a_line() -> None:
    """The second one is said once the first has its quotes."""
    [tree] = yaml_reader.read("x: [@a, @b, @c]\n")
    assert [(fault.line, fault.column) for fault in tree.faults] == [(1, 5), (1, 11)]
    assert tree.faults[1].excerpt.startswith("x: ['@a', @b, @c]")
