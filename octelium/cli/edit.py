"""`octeliumctl edit`: a resource in the user's editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.failure import EXPECTED, Failed, report
from octelium.cli.resources import parse_targets, require_method, short_name
from octelium.cli.verb import verb
from octelium.cli.warned import require_clean, teller
from octelium.cli.words import KIND_AND_NAMES
from octelium.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.cli.invocation import Invocation
    from octelium.schema.kinds import Kind

_EDITORS = ("OCTELIUM_EDITOR", "VISUAL", "EDITOR")
_HEADER = """\
# Save and close to change this {kind}; leave it as it is, or empty it, to change nothing.
# Lines that begin with # are left out.
"""


@verb(
    example="""
    octeliumctl edit service wiki
    EDITOR='code --wait' octeliumctl edit policy staff
    """
)
@click.argument("words", metavar="KIND NAME", nargs=-1, required=True, type=KIND_AND_NAMES)
@click.option("--strict", is_flag=True, help="Refuse what would only be warned of.")
def edit(invocation: Invocation, words: tuple[str, ...], strict: bool) -> None:
    """Change a resource in an editor ($OCTELIUM_EDITOR, $VISUAL, $EDITOR, else vi).

    What is saved is checked before anything changes. If it is refused, the editor opens again with
    the reason on top; closing it unchanged gives up, and the text is kept in a file.
    """
    kind, names = parse_targets(words)
    if kind.singleton:
        names = names or ["default"]
    if len(names) != 1:
        raise click.UsageError("Name one resource.")
    require_method(invocation, kind, "Update")
    if kind.has_data:
        raise click.UsageError(
            f"The value of a {kind.name} is never shown; give it another one with "
            f"`octeliumctl update {kind.command} NAME`, or declare it in a file and apply that."
        )
    original = invocation.client.resources.get(kind, names[0])
    Editing(invocation, kind, original, strict=strict).run()


class NoEditorError(ClientError):
    """An editor that does not start."""


class Editing:
    """One resource between its original form and the one that the Cluster accepts.

    With `strict`, what would only be warned of is refused.
    """

    def __init__(
        self, invocation: Invocation, kind: Kind, original: Any, *, strict: bool = False
    ) -> None:
        self._strict = strict
        self._invocation = invocation
        self._kind = kind
        self._original = original
        self._label = short_name(kind, original.metadata.name)

    def run(self) -> None:
        """Edit until the Cluster accepts the text, or the person gives up. Raises Failed."""
        from octelium.client.changes import declared
        from octelium.schema.documents import dump_yaml

        terminal = self._invocation.terminal
        handle, path = tempfile.mkstemp(
            prefix=f"octelium-{self._kind.command}-", suffix=".yaml", text=True
        )
        os.close(handle)
        buffer = Path(path)
        body = dump_yaml([declared(self._original)])
        text = _HEADER.format(kind=self._kind.name) + body
        refused = False
        while True:
            buffer.write_text(text, encoding="utf-8")
            try:
                open_editor(buffer, self._invocation.environ)
            except NoEditorError:
                if not refused:
                    buffer.unlink()
                raise
            edited = buffer.read_text(encoding="utf-8")
            if not _content(edited) or _content(edited) == _content(text):
                if refused:
                    terminal.note(f"Nothing was changed. The text is kept in {buffer}.")
                    terminal.note(f"Go on from there with: octeliumctl apply {buffer}")
                    raise Failed
                buffer.unlink()
                terminal.note(f"{self._label} is unchanged.")
                return
            try:
                self._send(edited, str(buffer))
            except EXPECTED as error:
                report(error, terminal)
                refused = True
                text = _with_reason(edited, str(error))
            else:
                buffer.unlink()
                terminal.show(f"{self._label} updated")
                return

    def _send(self, text: str, source: str) -> None:
        from octelium.client.errors import ApiError
        from octelium.client.resources import CHANGED
        from octelium.schema.documents import parse_documents
        from octelium.schema.errors import DocumentError, InvalidDocuments

        documents = parse_documents(text, source, any_kind=True)
        problem = ""
        if len(documents) != 1:
            problem = "one document is wanted"
        elif documents[0].kind is not self._kind:
            problem = f"the kind must stay {self._kind.name}"
        elif documents[0].message.metadata.name != self._original.metadata.name:
            problem = f"the name must stay {self._original.metadata.name}"
        if problem:
            raise InvalidDocuments([DocumentError(source, 1, 1, "", problem)])
        if self._strict:
            require_clean(documents)
        message = documents[0].message
        message.metadata.uid = self._original.metadata.uid
        resources = self._invocation.client.resources
        present = resources.get(self._kind, self._original.metadata.name)
        version = self._original.metadata.resource_version
        changed = ApiError(
            CHANGED,
            f"{self._label} has been changed by somebody else meanwhile",
            "",
            "compare with `octeliumctl get`; a further edit overwrites that change",
        )
        # Compared here too: other implementations do not look at the version.
        if version != present.metadata.resource_version:
            self._original = present
            raise changed
        # The file is gone when this is read, so it is not told where in it.
        tell = teller(self._invocation.terminal)
        try:
            resources.update(
                self._kind, message, warned=tell, strict=self._strict, if_version=version
            )
        except ApiError as error:
            if error.code != CHANGED:
                raise
            self._original = resources.get(self._kind, self._original.metadata.name)
            raise changed from error


def open_editor(path: Path, environ: Mapping[str, str]) -> None:
    """Let the user edit a file. Raises NoEditorError, ClientError when the editor fails."""
    command = next((environ[name] for name in _EDITORS if environ.get(name)), "vi")
    remedy = "set EDITOR to your editor's command"
    try:
        words = [*shlex.split(command), str(path)]
        # The editor is the user's own choice, on the user's own machine.
        done = subprocess.run(words, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise NoEditorError(f"there is no editor {command!r} on this machine", remedy) from error
    except (OSError, ValueError) as error:
        raise NoEditorError(f"cannot start the editor {command!r}: {error}", remedy) from error
    if done.returncode != 0:
        raise ClientError(
            f"the editor {command!r} ended with status {done.returncode}; "
            f"the text is kept in {path}",
            remedy,
        )


def _content(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()


def _with_reason(text: str, reason: str) -> str:
    body = text.splitlines()
    while body and body[0].startswith("#"):
        body.pop(0)
    lines = ["# Refused:", *(f"#   {line}" for line in reason.splitlines()), "#"]
    lines.append("# Correct it, or close without a change to give up.")
    return "\n".join([*lines, *body, ""])
