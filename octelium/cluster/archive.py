"""The file of a backup: a tar archive (POSIX.1-2001, pax) of a manifest and what it lists.

The manifest comes first and has size and SHA-256 of each member, so an archive that was cut off or
changed is known as such. Nothing is taken out of it by any other name than those of `MEMBERS`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any

from octelium.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FORMAT = 1
MANIFEST = "manifest.json"
STORE, KEY, AUTHORITY, LOGS = "store.db", "vault.key", "ca.pem", "logs.db"
MEMBERS = (STORE, KEY, AUTHORITY, LOGS)
"""What may be in it, in this order."""
_LARGEST_MANIFEST = 1 << 20
_BLOCK = 1 << 20


class BackupError(ClientError):
    """A backup cannot be made or used; the text says why, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds.

    `made` is a time of RFC 3339, `revision` the store's. `members` are sizes in bytes and SHA-256
    in hexadecimal, by name.
    """

    domain: str
    revision: int
    made: str
    version: str
    members: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def has_key(self) -> bool:
        """Whether the key that opens the Secrets is in it."""
        return KEY in self.members

    @property
    def has_logs(self) -> bool:
        """Whether the access log is in it."""
        return LOGS in self.members

    def to_bytes(self) -> bytes:
        """The JSON form."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """The reverse. Raises BackupError for anything else, and for a newer format."""
        try:
            value: dict[str, Any] = json.loads(data)
            if value["format"] != FORMAT:
                raise BackupError(
                    f"this backup has format {value['format']!r}, and this release knows {FORMAT}",
                    "restore it with the release that made it",
                )
            members = {
                str(name): (size, str(digest)) for name, (size, digest) in value["members"].items()
            }
            numbers = [value["revision"], *(size for size, _ in members.values())]
            texts = [value[name] for name in ("domain", "made", "version")]
            made = cls(texts[0], numbers[0], texts[1], texts[2], members)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _foreign() from error
        if not all(isinstance(text, str) for text in texts):
            raise _foreign()
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise _foreign("a number in its manifest is none")
        if not {STORE} <= set(members) <= set(MEMBERS):
            raise BackupError(f"this backup lists {', '.join(sorted(members))}", "take another one")
        return made


def write(target: IO[bytes], manifest: Manifest, folder: Path) -> Manifest:
    """Write an archive of the members that a folder has; the manifest as it was written.

    Raises:
        OSError: they cannot be read, or `target` not be written.
    """
    present = [name for name in MEMBERS if (folder / name).exists()]
    members = {name: _measured(folder / name) for name in present}
    whole = Manifest(manifest.domain, manifest.revision, manifest.made, manifest.version, members)
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        data = whole.to_bytes()
        archive.addfile(_entry(MANIFEST, len(data)), io.BytesIO(data))
        for name in present:
            with (folder / name).open("rb") as source:
                archive.addfile(_entry(name, members[name][0]), source)
    return whole


def extract(source: IO[bytes], folder: Path) -> Manifest:
    """Write the members of an archive into a folder, each with mode 0600; its manifest.

    Raises:
        BackupError: it is none, or is not whole.
        OSError: `source` cannot be read, or the folder not be written.
    """
    room = _length(source)
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            entries = iter(archive)
            manifest = _manifest(archive, entries)
            _check_sizes(manifest, room)
            for entry in entries:
                _extract(archive, entry, manifest, folder)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        # `tarfile` lets the last three through for headers that make no sense.
        raise _foreign(str(error)) from error
    for name in manifest.members:
        if not (folder / name).exists():
            raise BackupError(f"{name} is missing in this backup: it was cut off", _ANOTHER)
    return manifest


def _length(source: IO[bytes]) -> int | None:
    """The bytes that are left in an archive; None where only its end tells."""
    if not source.seekable():
        return None
    here = source.tell()
    end = source.seek(0, os.SEEK_END)
    source.seek(here)
    return end - here


def _check_sizes(manifest: Manifest, room: int | None) -> None:
    if room is not None and sum(size for size, _ in manifest.members.values()) > room:
        raise BackupError("this backup lists more than it holds: it was cut off", _ANOTHER)


def _manifest(archive: tarfile.TarFile, entries: Iterator[tarfile.TarInfo]) -> Manifest:
    first = next(entries, None)
    if first is None or first.name != MANIFEST or not _is_plain(first):
        raise _foreign()
    content = archive.extractfile(first)
    if content is None or first.size > _LARGEST_MANIFEST:
        raise _foreign()
    return Manifest.from_bytes(content.read())


def _extract(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, manifest: Manifest, folder: Path
) -> None:
    expected = manifest.members.get(entry.name)
    content = archive.extractfile(entry) if _is_plain(entry) else None
    if expected is None or content is None or (folder / entry.name).exists():
        raise BackupError(
            f"this backup holds {entry.name!r}, which does not belong in it", _ANOTHER
        )
    size, digest = expected
    state = hashlib.sha256()
    if entry.size == size:
        descriptor = os.open(folder / entry.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            while block := content.read(_BLOCK):
                state.update(block)
                written.write(block)
            written.flush()
            os.fsync(written.fileno())
    if state.hexdigest() != digest:
        raise BackupError(f"{entry.name} in this backup is damaged: its checksum differs", _ANOTHER)


def _is_plain(entry: tarfile.TarInfo) -> bool:
    """Whether each byte of a member is in the archive; a sparse one is as large as it claims."""
    return entry.isreg() and not entry.issparse()


_ANOTHER = "take another backup; nothing was changed"


def _foreign(why: str = "") -> BackupError:
    return BackupError(
        "this is no backup of `octops backup`" + (f": {why}" if why else ""), _ANOTHER
    )


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _measured(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, digest
