"""Who of this host's clients has changed a resolv.conf, and what it was before.

A file in a directory that outlives a restart of the machine says so before anything is changed.
The newest client's forwarder is the name server; it asks those of the others for their names. The
last one to go puts the original back, unless somebody else has changed the file meanwhile: then it
is theirs.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from octelium.client import ownership
from octelium.client.dns import resolv_conf
from octelium.client.errors import StateError
from octelium.client.locks import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DIRECTORY: Final = Path("/var/lib/octelium-resolver")
"""Root's alone: `/var/lib/octelium` is a Cluster's, whose user could lead root elsewhere."""
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_DAMAGED: Final = "remove it, and look whether the resolv.conf is as it should be"


@dataclass(frozen=True, slots=True)
class Owner:
    """A client: its process, where its forwarder is (port 53), and its private suffixes.

    `search` are the domains that are added to the search list.
    """

    id: str
    pid: int
    started: str
    address: str
    search: tuple[str, ...]
    suffixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _State:
    """`ours` are the texts that we may have written last: the former one and the present one."""

    original: str
    existed: bool = True
    ours: tuple[str, ...] = ()
    owners: tuple[Owner, ...] = field(default=())


def repair(
    warn: Callable[[str], None], path: Path = resolv_conf.PATH, directory: Path = DIRECTORY
) -> None:
    """Undo what clients left that ended without a chance to, such as with the power.

    Whoever may not has not left anything. `warn` takes what cannot be undone, and why.
    """
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK) or resolv_conf.is_of_resolved(path):
        return
    try:
        Owners(path, directory).repair()
    except OSError as error:
        warn(f"{path} still names a client that has ended: {error.strerror or error}")


def new_owner(address: str, search: Sequence[str], suffixes: Sequence[str]) -> Owner:
    """This process as an owner."""
    pid = os.getpid()
    started = _started(pid)
    assert started is not None
    return Owner(secrets.token_hex(8), pid, started, address, tuple(search), tuple(suffixes))


class Owners:
    """The owners of one resolv.conf; `directory` is where they are written down."""

    def __init__(self, path: Path = resolv_conf.PATH, directory: Path = DIRECTORY) -> None:
        self.path = resolv_conf.target(path)
        self.directory = directory
        place = resolv_conf.mounted(self.path) or str(self.path)
        name = hashlib.sha256(os.fsencode(place)).hexdigest()[:16]
        self.file = directory / f"{name}.json"
        self._seen: tuple[int, int, int] | None = None
        self._owners: tuple[Owner, ...] = ()

    def former(self) -> resolv_conf.ResolvConf:
        """What the file said before any client, or says now if another program wrote it.

        Raises:
            OSError: it cannot be read.
        """
        text = resolv_conf.read(self.path)
        if not self.file.exists():  # it is there before any client writes
            return resolv_conf.parse(text)
        with self._locked():
            state = self._settled()
            return resolv_conf.parse(state.original)

    def add(self, owner: Owner) -> resolv_conf.ResolvConf:
        """Have names looked up at an owner's forwarder. What the file said before any client.

        Raises:
            OSError: it cannot be; the file is as it was.
        """
        with self._locked():
            state = self._settled()
            before = resolv_conf.read(self.path)
            try:
                self._compose(replace(state, owners=(*state.owners, owner)))
            except OSError:
                if resolv_conf.read(self.path) == before:  # else the next start needs the original
                    self._keep(state if state.owners else None)
                raise
            return resolv_conf.parse(state.original)

    def remove(self, owner_id: str) -> str:
        """Take an owner away, and all that have ended; the last one restores the file.

        What is to be said of it to people; empty if all went as it should.

        Raises:
            OSError: the file cannot be restored; the next start tries again.
        """
        with self._locked():
            state = self._read()
            if state is None:
                return ""
            owners = tuple(each for each in state.owners if each.id != owner_id and _lives(each))
            if owners == state.owners:
                return ""
            foreign = not self._is_ours(state)
            self._put(replace(state, owners=owners), foreign=foreign)
            if foreign:
                return f"{self.path} was changed by another program meanwhile, and is left as it is"
            return ""

    def repair(self) -> bool:
        """Undo what clients left that ended without a chance to; whether there was any.

        Raises:
            OSError: the file cannot be restored.
        """
        if not self.file.exists():
            return False
        with self._locked():
            state = self._read()
            if state is None or all(map(_lives, state.owners)):
                return False
            owners = tuple(filter(_lives, state.owners))
            self._put(replace(state, owners=owners), foreign=not self._is_ours(state))
            return True

    def others(self, owner_id: str) -> tuple[Owner, ...]:
        """The other owners, the newest first. Cheap: the file is read when it has changed."""
        try:
            now = self.file.stat()
            seen = (now.st_mtime_ns, now.st_ino, now.st_size)
            if seen != self._seen:
                state = self._read()
                self._owners = () if state is None else tuple(reversed(state.owners))
                self._seen = seen
        except FileNotFoundError:
            self._owners, self._seen = (), None
        return tuple(each for each in self._owners if each.id != owner_id)

    def _settled(self) -> _State:
        """The state with living owners only, and an original that is today's."""
        state = self._read()
        text = resolv_conf.read(self.path)
        if state is None:
            return _State(text, self.path.exists())
        owners = tuple(filter(_lives, state.owners))
        if self._is_ours(state):
            return replace(state, owners=owners)
        return _State(_cleaned(text, state), self.path.exists(), (), owners)

    def _put(self, state: _State, *, foreign: bool) -> None:
        if state.owners:
            if foreign:
                self._keep(state)
            else:
                self._compose(state)
            return
        if not foreign:
            if state.existed:
                resolv_conf.write(self.path, state.original)
            else:
                self.path.unlink(missing_ok=True)
        self._keep(None)

    def _compose(self, state: _State) -> None:
        search = [domain for owner in reversed(state.owners) for domain in owner.search]
        former = resolv_conf.parse(state.original)
        text = former.with_forwarder(state.owners[-1].address, search)
        # Before the file, so that whatever stands in it after a crash is known for ours.
        self._keep(replace(state, ours=(*state.ours[-1:], text)))
        resolv_conf.write(self.path, text)

    def _is_ours(self, state: _State) -> bool:
        """Also what a crash has left of it."""
        text = resolv_conf.read(self.path)
        return any(each.startswith(text) for each in (state.original, *state.ours))

    def _read(self) -> _State | None:
        try:
            content = self.file.read_text("utf-8")
        except FileNotFoundError:
            return None
        try:
            return _state_of(json.loads(content))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise OSError(f"{self.file} is damaged; {_DAMAGED}") from error

    def _keep(self, state: _State | None) -> None:
        if state is None:
            self.file.unlink(missing_ok=True)
            return
        content = json.dumps({**asdict(state), "path": str(self.path)}, indent=1)
        resolv_conf.write(self.file, content)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            ownership.make(self.directory)
            with locked(self.file.with_suffix(".lock")):
                yield
        except StateError as error:
            raise OSError(f"{error}; {error.remedy}") from error


def _cleaned(text: str, state: _State) -> str:
    """What another program wrote, without what it took over from us."""
    found = resolv_conf.parse(text)
    ours = {owner.address for owner in state.owners}
    if not ours & set(found.nameservers):
        return text
    former = resolv_conf.parse(state.original)
    servers = tuple(each for each in found.nameservers if each not in ours) or former.nameservers
    domains = {domain for owner in state.owners for domain in owner.search}
    search = tuple(each for each in found.search if each not in domains)
    return replace(found, nameservers=servers, search=search).text()


def _state_of(read: Any) -> _State:
    """Raises ValueError, TypeError, KeyError, AttributeError."""
    owners = tuple(
        Owner(
            _word(each["id"]),
            int(each["pid"]),
            _word(each["started"]),
            _word(each["address"]),
            tuple(map(_word, each["search"])),
            tuple(map(_word, each["suffixes"])),
        )
        for each in read["owners"]
    )
    ours = tuple(map(_word, read["ours"]))
    return _State(_word(read["original"]), bool(read["existed"]), ours, owners)


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _lives(owner: Owner) -> bool:
    return _started(owner.pid) == owner.started


def _started(pid: int) -> str | None:
    """When a process began, so that another of the same id is told from it; None if it is gone.

    The machine's start and ticks since then (proc_pid_stat(5), fields 3 and 22).
    """
    try:
        # The name, in parentheses, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    return f"{_BOOT.read_text('ascii').strip()}:{int(fields[19])}"
