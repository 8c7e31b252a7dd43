"""What is likely wrong with resources, told where it stands in the user's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.errors import DocumentError, InvalidDocuments, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from octelium.cli.terminal import Terminal
    from octelium.schema.documents import Document
    from octelium.schema.pb import ext_v1_pb2 as ext


def teller(
    terminal: Terminal, document: Document | None = None
) -> Callable[[ext.ApplyError], None]:
    """Tells of warnings about one resource, which `document` declares."""

    def tell(warning: ext.ApplyError) -> None:
        terminal.warn(text_of(warning, document))

    return tell


def tell_all(
    terminal: Terminal, warnings: Iterable[ext.ApplyError], documents: Sequence[Document]
) -> None:
    """Tell of warnings whose index is that of a document."""
    for warning in warnings:
        known = warning.HasField("index") and warning.index < len(documents)
        terminal.warn(text_of(warning, documents[warning.index] if known else None))


def require_clean(documents: Sequence[Document]) -> None:
    """Refuse documents with which something is likely wrong, before anything is sent.

    What only the Cluster knows, it refuses itself.

    Raises InvalidDocuments.
    """
    # Takes a while to load, and few ask for it.
    from octelium.cli.linting import lint

    warnings = lint(documents)
    if warnings:
        raise InvalidDocuments([placed(one, documents[one.index]) for one in warnings])


def text_of(warning: ext.ApplyError, document: Document | None = None) -> str:
    """A warning in one line."""
    if document is not None:
        return str(placed(warning, document))
    what = sentence(warning.path, warning.problem, warning.remedy)
    return f"{warning.kind} {warning.name}: {what}" if warning.kind else what


def placed(error: ext.ApplyError, document: Document) -> DocumentError:
    """What is wrong with a resource, as a fault in the file that declares it."""
    place = f"{document.kind.name} {error.name}"
    return DocumentError(
        document.source,
        document.index,
        document.line_of(error.path),
        f"{place}: {error.path}" if error.path else place,
        error.problem,
        error.remedy,
    )
