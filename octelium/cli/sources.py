"""The files of resources that a command line names."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from octelium.client.errors import ClientError
from octelium.schema.documents import parse_documents
from octelium.schema.errors import DocumentError, InvalidDocuments
from octelium.schema.names import full_service_name
from octelium.schema.unseen import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.schema.documents import Document

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")
TEST_SUFFIXES = tuple(f".test{suffix}" for suffix in _SUFFIXES)
"""How files with tests of Policies end; they stand beside resources and are none."""


class UnreadableError(ClientError):
    """A file or directory that cannot be read. `reason` says why without naming it."""

    reason = ""

    def __init__(self, problem: str, remedy: str = "") -> None:
        # Names of files may hold line feeds.
        super().__init__(one_line(problem), one_line(remedy))


def _unreadable(problem: str, reason: str, remedy: str = "") -> UnreadableError:
    error = UnreadableError(problem, remedy)
    error.reason = reason
    return error


def read_documents(
    paths: Sequence[str], *, any_kind: bool = False, may_be_empty: bool = False
) -> list[Document]:
    """The resources of files, of directories (with all below them) and of `-`, in their order.

    In directories, what begins with a dot and files with tests are passed over. Links that lead out
    of them are refused: who writes files there may not have others read. A directory without files
    of resources is refused unless it `may_be_empty`. Raises InvalidDocuments with every problem of
    every file.
    """
    documents: list[Document] = []
    errors: list[DocumentError] = []
    for path in paths:
        for file in _files(path, errors, may_be_empty=may_be_empty):
            try:
                name, text = read_text(file)
                documents.extend(parse_documents(text, name, any_kind=any_kind))
            except UnreadableError as error:
                errors.append(DocumentError(file, 0, 0, "", error.reason, error.remedy))
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
        why = error.strerror
        raise _unreadable(f"cannot read {path}: {why}", f"cannot be read: {why}") from error
    return path, _decoded(content, path)


def leads_out(file: str | Path, folder: str | Path) -> bool:
    """Whether a file lies outside a directory, with all links followed."""
    return not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))


def outside(file: str | Path, folder: str | Path) -> DocumentError:
    """That a file found in a directory is a link to somewhere else; nothing of it is shown."""
    problem = f"is a link that leads out of {one_line(str(folder))}"
    return DocumentError(str(file), 0, 0, "", problem, "put the file itself there")


def is_test_file(path: Path) -> bool:
    """Whether a file holds tests of Policies, by its name."""
    return path.name.lower().endswith(TEST_SUFFIXES)


def is_resource_file(path: Path) -> bool:
    """Whether a file declares resources, by its name."""
    return _is_resource_name(path) and path.is_file()


def _is_resource_name(path: Path) -> bool:
    return (
        path.suffix.lower() in _SUFFIXES
        and not path.name.startswith(".")
        and not is_test_file(path)
    )


def _files(path: str, errors: list[DocumentError], *, may_be_empty: bool) -> list[str]:
    """The files that a path means; what stands in the way is added to `errors`."""
    if path == STDIN or not os.path.isdir(path):  # noqa: PTH112  (Path.is_dir raises PermissionError)
        return [path]
    known = len(errors)

    def unreadable(error: OSError) -> None:
        problem = f"cannot be read: {error.strerror}"
        errors.append(DocumentError(str(error.filename or path), 0, 0, "", problem))

    found: list[str] = []
    for folder, below, names in os.walk(path, onerror=unreadable):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            # A link that leads nowhere is no file, and is not passed over.
            if not _is_resource_name(file):
                continue
            if leads_out(file, path):
                errors.append(outside(file, path))
            elif file.is_file() or not file.exists():
                found.append(str(file))
    if not found and not may_be_empty and len(errors) == known:
        remedy = f"they end in {', '.join(_SUFFIXES)}"
        errors.append(
            DocumentError(path, 0, 0, "", "there are no files of resources in it", remedy)
        )
    return sorted(found, key=Path)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 text: {error.reason} at byte {error.start}"
        raise _unreadable(f"{name} {reason}", reason, "save it as UTF-8") from error


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
                f"the first time in {one_line(first.source)}:{first.line}",
            )
