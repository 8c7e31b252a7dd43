"""Files of plain data: an object in JSON or YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.cli.sources import read_text
from octelium.schema import yaml_reader
from octelium.schema.errors import DocumentError, InvalidDocuments, render_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.schema.yaml_faults import Fault
    from octelium.schema.yaml_reader import Tree


def read_object(path: str) -> dict[str, Any]:
    """The object that a file (`-`: stdin) holds.

    Raises InvalidDocuments, UnreadableError.
    """
    source, text = read_text(path)
    tree = read_tree(text, source)
    if not isinstance(tree.value, dict):
        raise InvalidDocuments(
            [DocumentError(source, 1, tree.line, "", "is no object", "write KEY: VALUE pairs")]
        )
    return tree.value


def read_tree(text: str, source: str) -> Tree:
    """The only document of a text. Raises InvalidDocuments with all that is wrong with its YAML."""
    return only(read_trees(text, source), source)


def read_trees(text: str, source: str) -> list[Tree]:
    """The documents of a text that hold something. Raises InvalidDocuments."""
    trees = [tree for tree in yaml_reader.read(text) if tree.value is not None or tree.faults]
    faults = [placed(source, tree, fault) for tree in trees for fault in tree.faults]
    if faults:
        raise InvalidDocuments(faults)
    return trees


def only(trees: Sequence[Tree], source: str) -> Tree:
    """The document of a text that has one. Raises InvalidDocuments."""
    if not trees:
        raise InvalidDocuments([DocumentError(source, 1, 1, "", "the file is empty")])
    if len(trees) > 1:
        second = trees[1]
        problem = "there is a second document"
        raise InvalidDocuments(
            [DocumentError(source, second.index, second.line, "", problem, "remove it")]
        )
    return trees[0]


def placed(source: str, tree: Tree, fault: Fault) -> DocumentError:
    """A fault of a tree as an error of a file."""
    steps, problem, remedy = fault.problem
    path = render_path(steps)
    return DocumentError(
        source, tree.index, fault.line, path, problem, remedy, fault.column, fault.excerpt
    )
