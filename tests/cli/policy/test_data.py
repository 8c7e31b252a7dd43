from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.cli.policy.data import read_object, read_tree
from octelium.cli.sources import UnreadableError
from octelium.schema.errors import InvalidDocuments

if TYPE_CHECKING:
    from pathlib import Path


def test_json_and_yaml(tmp_path: Path) -> None:
    file = tmp_path / "x"
    for text in (
        '{"a": {"b": [1, "x"]}}',
        "a:\n  b: [1, x]\n",
        "# no\n---\na: {b: [1, 'x']}\n---\n",
    ):
        file.write_text(text)
        assert read_object(str(file)) == {"a": {"b": [1, "x"]}}


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", "f:1", "empty"),
        ("[1]", "f:1", "no object"),
        ("a: 1\n---\nb: 1", "f:3", "second document"),
        ("a: 1\na: 2", "f:2", "given twice"),
        ("a: [", "f:2", "not YAML"),
        (
            'who: "a" in b',
            "f:1:6 (document 1)",
            'who: \'"a" in b\')\n  | who: "a" in b\n  |      ^',
        ),
    ],
)
def test_anything_else_is_refused_with_its_place(
    text: str, place: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text(text)
    with pytest.raises(InvalidDocuments) as caught:
        read_object("f")
    assert str(caught.value).startswith(place)
    assert problem in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UnreadableError, match="cannot read nowhere"):
        read_object("nowhere")


def test_lines_are_kept() -> None:
    tree = read_tree("\n\na:\n  b: 1\n", "f")
    assert tree.line_of(("a", "b")) == 4
