"""The files of resources that a command line names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from octelium.client.errors import ClientError
from octelium.schema.documents import parse_documents
from octelium.schema.errors import DocumentError, InvalidDocuments
from octelium.schema.names import full_service_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.schema.documents import Document

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")
TEST_SUFFIXES = tuple(f".test{suffix}" for suffix in _SUFFIXES)
"""How files with tests of Policies end; they stand beside resources and are none."""


class UnreadableError(ClientError):
    """A file or directory that cannot be read."""


def read_documents(paths: Sequence[str], *, any_kind: bool = False) -> list[Document]:
    """The resources of files, of directories (with all below them) and of `-`, in their order.

    Files with tests are passed over in directories. Raises InvalidDocuments with every problem of
    every file, UnreadableError.
    """
    documents: list[Document] = []
    errors: list[DocumentError] = []
    for name, text in _texts(paths):
        try:
            documents.extend(parse_documents(text, name, any_kind=any_kind))
        except InvalidDocuments as invalid:
            errors.extend(invalid.errors)
    errors.extend(_duplicates(documents))
    if errors:
        raise InvalidDocuments(errors)
    return documents


def stored_name(document: Document) -> str:
    """The name that a document's resource has in the Cluster."""
    name: str = document.message.metadata.name
    if document.kind.singleton:
        return "default"
    return full_service_name(name) if document.kind.name == "Service" else name


def read_text(path: str) -> tuple[str, str]:
    """A file, or stdin for `-`: its name for errors, and its text. Raises UnreadableError."""
    if path == STDIN:
        return "stdin", _decoded(sys.stdin.buffer.read(), "stdin")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror}") from error
    return path, _decoded(content, path)


def is_test_file(path: Path) -> bool:
    """Whether a file holds tests of Policies, by its name."""
    return path.name.lower().endswith(TEST_SUFFIXES)


def is_resource_file(path: Path) -> bool:
    """Whether a file declares resources, by its name."""
    return path.suffix.lower() in _SUFFIXES and path.is_file() and not is_test_file(path)


def _texts(paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    for path in paths:
        if path == STDIN:
            yield read_text(path)
            continue
        for file in _files(Path(path)):
            yield read_text(str(file))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(filter(is_resource_file, path.rglob("*")))
    if not found:
        raise UnreadableError(
            f"there are no files of resources in {path}", f"they end in {', '.join(_SUFFIXES)}"
        )
    return found


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"{name} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error


def _duplicates(documents: Sequence[Document]) -> Iterator[DocumentError]:
    seen: dict[tuple[str, str], Document] = {}
    for document in documents:
        key = (document.kind.name, stored_name(document))
        if not key[1]:
            continue
        first = seen.setdefault(key, document)
        if first is not document:
            yield DocumentError(
                document.source,
                document.index,
                document.line,
                "metadata.name",
                f"{key[0]} {key[1]} is declared twice",
                f"the first time in {first.source}:{first.line}",
            )
