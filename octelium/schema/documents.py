"""Files of resources: strict multi-document YAML (or JSON) in and out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from octelium.schema import json_reader, kinds, yaml_reader
from octelium.schema.errors import DocumentError, InvalidDocuments, path_steps, render_path
from octelium.schema.jsonform import to_json
from octelium.schema.kinds import KINDS, Kind
from octelium.schema.suggestion import did_you_mean
from octelium.schema.unseen import escaped_yaml, has_unseen
from octelium.schema.yaml_faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

    from octelium.schema.yaml_reader import Tree


_LIST = "List"
"""How the kinds of lists end."""


@dataclass(frozen=True, slots=True)
class Document:
    """One resource of a file: `index` counts documents and `line` lines, both from 1.

    The resources of a list share the index of their document.
    """

    kind: Kind
    message: Any
    source: str
    index: int
    line: int
    tree: Tree | None = field(default=None, repr=False, compare=False)
    """Where its parts stand in the file."""

    def line_of(self, path: str) -> int:
        """The line of what stands at a path in JSON names, or of the innermost part before it."""
        return self.line if self.tree is None else self.tree.line_of(path_steps(path))


def parse_documents(text: str, source: str, *, any_kind: bool = False) -> list[Document]:
    """The resources that a text of YAML documents declares, in their order.

    A list as `get -o yaml` writes it (`kind: UserList`) declares each of its items. `source` names
    the text in errors. Only kinds that may be declared are accepted unless `any_kind`. Empty
    documents are skipped. Field rules and references are not checked here.

    Raises InvalidDocuments with every problem of the text.
    """
    errors: list[DocumentError] = []
    documents: list[Document] = []
    for tree in yaml_reader.read(text):
        faults = list(tree.faults)
        if not tree.broken and tree.value is not None:
            found, problems = _read(tree, source, any_kind=any_kind)
            if not problems and not faults:
                documents += found
            faults += [Fault(tree.line_of(problem.steps), problem) for problem in problems]
        errors.extend(
            DocumentError(
                source,
                tree.index,
                fault.line,
                render_path(fault.problem.steps),
                fault.problem.problem,
                fault.problem.remedy,
                fault.column,
                fault.excerpt,
            )
            for fault in sorted(faults, key=lambda fault: fault.line)
        )
    if errors:
        raise InvalidDocuments(errors)
    return documents


def _read(
    tree: yaml_reader.Tree, source: str, *, any_kind: bool
) -> tuple[list[Document], list[json_reader.Problem]]:
    """The resource of a document, or those of its list; without problems they are complete."""
    listed = _listed(tree.value)
    if listed is not None:
        return _read_list(tree, source, listed, any_kind=any_kind)
    kind, problems = _kind(tree.value, any_kind=any_kind)
    if kind is None:
        return [], problems
    message = kind.message()
    problems = json_reader.read(message, tree.value)
    message.api_version = kind.api
    return [Document(kind, message, source, tree.index, tree.line, tree)], problems


def _listed(value: Any) -> Kind | None:
    """The kind of which a value is a list: `UserList` is one of Users."""
    name = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(name, str) or not name.endswith(_LIST):
        return None
    kind = KINDS.get(name.removesuffix(_LIST))
    return None if kind is None or kind.internal or kind.list_message is None else kind


def _read_list(
    tree: yaml_reader.Tree, source: str, kind: Kind, *, any_kind: bool
) -> tuple[list[Document], list[json_reader.Problem]]:
    assert kind.list_message is not None
    head = {key: value for key, value in tree.value.items() if key != "items"}
    _, problems = _kind({**head, "kind": kind.name}, any_kind=any_kind)
    problems = problems or json_reader.read(kind.list_message(), head)
    items = tree.value.get("items")
    if items is None:
        items = []
    elif not isinstance(items, list):
        problems.append(json_reader.Problem(("items",), "the items are not a list", ""))
        items = []
    documents = []
    for index, item in enumerate(items):
        if len(problems) >= yaml_reader.MAX_FAULTS:
            break
        steps = ("items", index)
        named = {"kind": kind.name, **item} if isinstance(item, dict) else item
        if isinstance(item, dict) and named["kind"] != kind.name:
            problem = f"{str(named['kind'])[:60]!r} is not the kind of a {kind.name}{_LIST}'s items"
            remedy = f"write {kind.name} or leave it out"
            problems.append(json_reader.Problem((*steps, "kind"), problem, remedy))
            continue
        found, faults = _read(tree.part(steps, named), source, any_kind=any_kind)
        problems += [fault._replace(steps=(*steps, *fault.steps)) for fault in faults]
        documents += found
    return documents, problems


def _kind(value: Any, *, any_kind: bool) -> tuple[Kind | None, list[json_reader.Problem]]:
    def refused(problem: str, remedy: str, *steps: str) -> list[json_reader.Problem]:
        return [json_reader.Problem(steps, problem, remedy)]

    if not isinstance(value, dict):
        return None, refused(
            "the document is not a resource", "write kind:, metadata: and spec: fields"
        )
    name = value.get("kind")
    allowed = [
        kind.name
        for kind in kinds.APPLY_ORDER
        if kind.declarable or (any_kind and not kind.internal)
    ]
    known = f"one of {', '.join(allowed)}"
    if name is None:
        return None, refused("the document has no kind", f"add kind: {known}")
    if not isinstance(name, str) or name not in KINDS or KINDS[name].internal:
        remedy = did_you_mean(str(name)[:60], allowed, otherwise=known)
        return None, refused(f"unknown kind {str(name)[:60]!r}", remedy, "kind")
    kind = KINDS[name]
    if name not in allowed:
        return None, refused(f"a {name} cannot be declared in a file", known, "kind")
    for key in ("apiVersion", "api_version"):
        if value.get(key, kind.api) != kind.api:
            return None, refused("unknown API version", f"write {kind.api} or leave it out", key)
    return kind, []


class _Dumper(yaml.SafeDumper):
    """Block style, with texts of several lines shown as they are."""


_PLAIN_LINES = re.compile(r"(?:\S(?:[^\n]*\S)?)(?:\n|\n[^\n]*\S)*")


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if has_unseen(text):
        style = '"'
    elif "\n" in text and _PLAIN_LINES.fullmatch(text):
        style = "|"
    elif not isinstance(yaml_reader.resolve(text), str):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump_yaml(messages: Iterable[Message]) -> str:
    """The messages as YAML documents, which `parse_documents` reads back to equal ones.

    What nobody sees stands there as an escape.
    """
    text: str = yaml.dump_all(
        [to_json(message) for message in messages],
        Dumper=_Dumper,
        explicit_start=False,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )
    return escaped_yaml(text)
