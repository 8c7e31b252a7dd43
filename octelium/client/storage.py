"""Small files that several processes share: in a directory, or within the process only."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import (
    AbstractContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from octelium.client import ownership
from octelium.client.errors import StateError
from octelium.client.locks import TIMEOUT, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

_ELSEWHERE = (
    "choose another directory with --homedir or OCTELIUM_HOME; "
    "`--homedir mem` keeps nothing on disk"
)
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT})
"""Of a directory that can be read from, but not be written to."""


class UnwritableError(StateError):
    """Nothing can be kept there at present, though what is there may be read."""


class Storage(Protocol):
    """Named byte strings, with a lock for each name."""

    def read(self, name: str) -> bytes:
        """The bytes under `name`; empty if there are none."""

    def write(self, name: str, content: bytes) -> None:
        """Replace the bytes under `name` as a whole."""

    def lock(self, name: str, timeout: float = TIMEOUT) -> AbstractContextManager[None]:
        """Keep other processes from the lock `name`, waiting `timeout` seconds at most for it."""

    def reading(self, name: str, timeout: float = TIMEOUT) -> AbstractContextManager[None]:
        """As `lock`, as far as that can be where nothing can be written."""

    def rehearse(self, name: str) -> None:
        """Find out whether `name` can be written, and change nothing. Raises StateError."""

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
        with self._directory_errors(), self._draft(name, content) as (draft, target):
            draft.replace(target)

    def rehearse(self, name: str) -> None:
        """Write as much as is there, and remove it again. Raises StateError."""
        content = self.read(name)
        with self._directory_errors():
            ownership.make(self._directory)
            with self._draft(name, content) as (draft, _):
                draft.unlink()

    @contextmanager
    def _draft(self, name: str, content: bytes) -> Iterator[tuple[Path, Path]]:
        """A file to take the place of another one; it goes if it is not used."""
        target = self._target(name)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{name}.")
        draft = Path(temporary)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield draft, target
        except BaseException:
            draft.unlink(missing_ok=True)
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

    @contextmanager
    def reading(self, name: str, timeout: float = TIMEOUT) -> Iterator[None]:
        """Hold the lock; in a directory that cannot be written to a shared one, if it is there.

        Without one nothing worse can happen: files are replaced as a whole. Raises StateError.
        """
        with ExitStack() as held:
            try:
                held.enter_context(self.lock(name, timeout))
            except UnwritableError:
                with suppress(OSError):  # the lock is missing, or for its owner only
                    lock = self._directory / f"{name}.lock"
                    held.enter_context(locked(lock, timeout, is_shared=True))
            yield

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
            kind = UnwritableError if error.errno in _READ_ONLY else StateError
            raise kind(
                f"cannot write to {self._directory}: {error.strerror}", _ELSEWHERE
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

    def reading(self, name: str, timeout: float = TIMEOUT) -> AbstractContextManager[None]:
        """As `lock`."""
        return self.lock(name, timeout)

    def rehearse(self, name: str) -> None:
        """There is always room."""

    def where(self, name: str) -> str:
        """A name for messages."""
        return f"{name} (in memory)"


def storage_at(directory: Path | None) -> Storage:
    """Storage in `directory`, or in memory when there is none."""
    return MemoryStorage() if directory is None else DirectoryStorage(directory)
