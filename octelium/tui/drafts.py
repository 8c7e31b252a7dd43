"""Texts that were written and not applied yet: none is lost, not even with the connection."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from octelium.client.errors import ClientError

_PREFIX: Final = "draft-"


class DraftError(ClientError):
    """A text that is not in its file."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wrote of a resource; `name` is empty for a new one.

    `version` is the resource's when the text was begun.
    """

    kind: str
    name: str
    version: str
    text: str


class Drafts:
    """The texts for one Cluster, in files of `folder` that nobody else can read.

    Without a folder they last as long as the process.
    """

    def __init__(self, folder: Path | None = None, domain: str = "") -> None:
        self._folder = folder
        self._domain = domain
        self._drafts: dict[tuple[str, str], Draft] = {}

    @property
    def would_be_lost(self) -> bool:
        """Whether there are texts that end with the process."""
        return self._folder is None and bool(self._drafts)

    def find(self, kind: str, name: str) -> Draft | None:
        """The text of a resource, if one is kept. Raises DraftError."""
        found = self._drafts.get((kind, name))
        path = self._path(kind, name)
        if found is not None or path is None:
            return found
        try:
            return Draft(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise DraftError(
                f"the text kept in {path} cannot be read: {error}", "remove that file"
            ) from error

    def keep(self, draft: Draft) -> None:
        """Keep a text in place of an earlier one. Raises DraftError if it cannot be in a file;
        it is kept in memory then.
        """
        self._drafts[draft.kind, draft.name] = draft
        path = self._path(draft.kind, draft.name)
        if path is None:
            return
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(asdict(draft), file)
                Path(beside).replace(path)
            except BaseException:
                Path(beside).unlink()
                raise
        except (OSError, ValueError) as error:
            raise DraftError(
                f"the text is kept until you quit only: {error}", "apply it, or copy it (c)"
            ) from error

    def drop(self, kind: str, name: str) -> None:
        """Forget a text. Raises DraftError."""
        self._drafts.pop((kind, name), None)
        path = self._path(kind, name)
        if path is None:
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        except OSError as error:
            raise DraftError(f"the text kept in {path} cannot be removed: {error}") from error

    def _path(self, kind: str, name: str) -> Path | None:
        if self._folder is None:
            return None
        # Names come from the Cluster: none becomes part of a path.
        key = "\0".join((self._domain, kind, name)).encode("utf-8", "surrogatepass")
        return self._folder / f"{_PREFIX}{hashlib.sha256(key).hexdigest()[:32]}.json"
