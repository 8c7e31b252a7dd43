"""Small files that several processes share: in a directory, or within the process only."""

from __future__ import annotations

import os
import tempfile
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from octelium.client import ownership
from octelium.client.errors import StateError
from octelium.client.locks import TIMEOUT, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

_ELSEWHERE = (
    "choose another directory with --homedir or OCTELIUM_HOME; "
    "`--homedir mem` keeps nothing on disk"
)


class Storage(Protocol):
    """Named byte strings, with a lock for each name."""

    def read(self, name: str) -> bytes:
        """The bytes under `name`; empty if there are none."""

    def write(self, name: str, content: bytes) -> None:
        """Replace the bytes under `name` as a whole."""

    def lock(self, name: str, timeout: float = TIMEOUT) -> AbstractContextManager[None]:
        """Keep other processes from the lock `name`, waiting `timeout` seconds at most for it."""

    def where(self, name: str) -> str:
        """How to call `name` in an error message."""


class DirectoryStorage:
    """Files with mode 0600 in a directory with mode 0700."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, name: str) -> bytes:
        """The bytes under `name`; empty if there are none. Raises StateError."""
        try:
            return self._target(name).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StateError(
                f"cannot read {self.where(name)}: {error.strerror}", _ELSEWHERE
            ) from error

    def write(self, name: str, content: bytes) -> None:
        """Replace the file at once, so that no reader and no crash sees half of it."""
        with self._directory_errors():
            target = self._target(name)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    @contextmanager
    def lock(self, name: str, timeout: float = TIMEOUT) -> Iterator[None]:
        """Hold `<name>.lock` in the directory. Raises StateError after `timeout` seconds."""
        with self._directory_errors():
            ownership.make(self._directory)
            lock = locked(self._directory / f"{name}.lock", timeout)
            lock.__enter__()
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def where(self, name: str) -> str:
        """The file's path."""
        return str(self._directory / name)

    def _target(self, name: str) -> Path:
        """The file, where its user's own links lead: what they point to is read and replaced.

        Raises:
            StateError: somebody else could say where that is.
            OSError: it cannot be looked at.
        """
        ownership.check(self._directory)
        path = self._directory / name
        if not path.is_symlink():
            return path
        if path.lstat().st_uid != os.geteuid():
            raise StateError(f"{path} is a link that somebody else made", "remove it")
        target = path.resolve()
        ownership.check(target.parent)
        return target

    @contextmanager
    def _directory_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"cannot write to {self._directory}: {error.strerror}",
                _ELSEWHERE,
            ) from error


class MemoryStorage:
    """Nothing on disk."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        """The bytes under `name`; empty if there are none."""
        return self._contents.get(name, b"")

    def write(self, name: str, content: bytes) -> None:
        """Replace the bytes under `name`."""
        self._contents[name] = content

    def lock(
        self,
        name: str,  # noqa: ARG002  (nobody else can take it)
        timeout: float = TIMEOUT,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Nobody else can see this memory."""
        return nullcontext()

    def where(self, name: str) -> str:
        """A name for messages."""
        return f"{name} (in memory)"


def storage_at(directory: Path | None) -> Storage:
    """Storage in `directory`, or in memory when there is none."""
    return MemoryStorage() if directory is None else DirectoryStorage(directory)
