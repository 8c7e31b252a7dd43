"""A new file that only its owner can read, also in a folder where others may write.

What lies there already is never written to, be it a file, a FIFO or a link: it would stay somebody
else's, and so would what is written (open(2), `O_EXCL`).
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class PrivateFileError(Exception):
    """The file cannot be made; `remedy` says what to do. Nothing is there that was not before."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.problem = problem
        self.remedy = remedy


@contextmanager
def new(path: Path) -> Iterator[IO[bytes]]:
    """A file of mode 0600, which is gone if the block fails.

    Raises:
        PrivateFileError: the name is taken, or the file cannot be made or be private there.
    """
    file = _made(path, path.name, path.parent)
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def complete(path: Path) -> Iterator[IO[bytes]]:
    """A file of mode 0600 that gets its name, durably, when the block has ended well.

    Until then it has another that nobody can foresee. What is named in the end is what was
    written, whatever others do to names in that folder meanwhile.

    Raises:
        PrivateFileError: as for `new`, or the file system has no hard links.
        OSError: it cannot be written.
    """
    if os.path.lexists(path):
        raise _taken(path)
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _impossible(path, error) from error
    try:
        draft = f".octelium-{secrets.token_hex(16)}.partial"
        file = _made(path, draft, folder)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                _name(file.fileno(), path, folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)


def _made(path: Path, name: str, folder: Path | int) -> IO[bytes]:
    """A new file `name` in `folder`; messages call it `path`."""
    where, called = (folder, name) if isinstance(folder, int) else (None, str(folder / name))
    try:
        descriptor = os.open(called, _FLAGS, 0o600, dir_fd=where)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise _impossible(path, error) from error
    try:
        _keep_private(descriptor, path)
        return os.fdopen(descriptor, "wb")
    except BaseException:
        os.close(descriptor)
        os.unlink(called, dir_fd=where)
        raise


def _keep_private(descriptor: int, path: Path) -> None:
    with suppress(PermissionError):  # of a file system without modes; the outcome counts
        os.fchmod(descriptor, 0o600)
    if os.fstat(descriptor).st_mode & 0o077:
        raise PrivateFileError(
            f"{path} could be read by others: its file system has no modes", "choose another place"
        )


def _name(descriptor: int, path: Path, folder: int) -> None:
    """Link an open file to its name, which takes nobody else's place (linkat(2))."""
    try:
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise _impossible(path, error) from error


def _taken(path: Path) -> PrivateFileError:
    return PrivateFileError(f"{path} exists already", "choose another name, or move it away")


def _impossible(path: Path, error: OSError) -> PrivateFileError:
    return PrivateFileError(f"{path} cannot be made: {error.strerror}", "choose another place")
