"""One question about all of the Cluster, answered by a process of its own.

Such an answer takes seconds and millions of objects. Beside an event loop that would hold up every
call, each time all objects are looked through for garbage; and work in a thread cannot be ended. A
process can, gives everything back when it is done, and lets the others go first. It gets the
resources that decisions are made of, no Secrets and no keys, and gives back one message.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

import octelium
from octelium.cluster.child import die_with_parent, name_process
from octelium.replica.replica import Replica
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import feed_v1_pb2 as feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octelium.cluster.lane import Deadline

_MODULE: Final = "octelium.cluster.errand"
_SLICE: Final = 0.1
"""Seconds between two looks at whether somebody still waits."""
_MEMORY: Final = 8 << 30
"""Bytes of address space that an errand may take."""
_POLITENESS: Final = 10
"""By how much errands give way to other processes; see nice(2)."""
_LENGTH: Final = struct.Struct(">I")
_REFUSED: Final = 3
"""Exit status of a question that cannot be asked; the text is what it wrote."""


class ErrandError(Exception):
    """An errand that came to no end, or to a bad one; the text is for operators."""


class UnanswerableError(Exception):
    """A question that cannot be asked; the text is for the asker."""


class Errand(msgspec.Struct):
    """What to find out. With `logs`, a preview of `changes`; else who may do what.

    `resources` and `changes` are wire bytes of `feed.Change`. `logs` is the path of the access
    log, of whose newest requests `count` are decided again.
    """

    parent: int
    user: str = ""
    service: str = ""
    logs: str = ""
    count: int = 0
    changes: tuple[bytes, ...] = ()


def run(errand: Errand, replica: Replica, deadline: Deadline) -> bytes:
    """Send out a process and wait for its answer; blocks, so call it in a thread.

    Raises:
        UnanswerableError: The question cannot be asked.
        Expired: The deadline has passed, or nobody waits any more; the process is gone.
        ErrandError: The process failed.
    """
    code = Path(octelium.__file__).parent.parent
    # Unpacked, everything stands beside the code; what the machine has is not wanted.
    isolated = ["-S"] if (code / "bin/preamble.py").exists() else []
    with (
        _in_memory(_packed(errand, replica)) as task,
        subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-P", "-s", *isolated, "-m", _MODULE],
            env={"PYTHONPATH": str(code)},
            stdin=task,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process,
    ):
        try:
            answer = _await(process, deadline)
        finally:
            process.kill()
    if process.returncode == _REFUSED:
        raise UnanswerableError(answer.decode())
    if process.returncode != 0:
        raise ErrandError(f"a process that compares access ended with status {process.returncode}")
    return answer


def _await(process: subprocess.Popen[bytes], deadline: Deadline) -> bytes:
    """What a process writes until it ends. Raises Expired."""
    while True:
        deadline.check()
        with contextlib.suppress(subprocess.TimeoutExpired):
            answer, _ = process.communicate(timeout=_SLICE)
            return answer


@contextlib.contextmanager
def _in_memory(pieces: Iterable[bytes]) -> Iterator[BinaryIO]:
    """A file of these pieces that is nowhere on a disk, to be read from its beginning."""
    with os.fdopen(os.memfd_create("octelium-errand", os.MFD_CLOEXEC), "w+b") as file:
        file.writelines(pieces)
        file.seek(0)
        yield file


def _packed(errand: Errand, replica: Replica) -> Iterator[bytes]:
    task = msgspec.msgpack.encode(errand)
    yield _LENGTH.pack(len(task))
    yield task
    for change in replica.contents():
        data = change.SerializeToString()
        yield _LENGTH.pack(len(data))
        yield data


def _unpacked(data: bytes) -> tuple[Errand, list[feed.Change]]:
    pieces = []
    position = 0
    while position < len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        pieces.append(data[position : position + length])
        position += length
    errand = msgspec.msgpack.decode(pieces[0], type=Errand)
    return errand, [feed.Change.FromString(piece) for piece in pieces[1:]]


def answer_to(errand: Errand, resources: Iterable[feed.Change]) -> Any:
    """The message that an errand is to bring back.

    Raises:
        InquiryError: There is no such User or Service.
    """
    replica = Replica()
    replica.revise(resources)
    if not errand.logs:
        from octelium.octovigil.access.listing import NOTES, list_access

        found = list_access(replica, user=errand.user, service=errand.service)
        return ext.ListAccessResponse(items=found, notes=NOTES)
    from octelium.cluster.logged import remembered
    from octelium.octovigil.access.preview import preview
    from octelium.visibility.query import RequestFinder
    from octelium.visibility.store import LogFile

    after = replica.fork()
    after.revise(feed.Change.FromString(change) for change in errand.changes)
    newest = RequestFinder(LogFile(Path(errand.logs))).newest(errand.count)
    return preview(replica, after, (remembered(replica, logged) for logged in newest))


def main() -> int:
    """Run the errand on stdin; the answer goes to stdout."""
    from octelium.octovigil.inquiry import InquiryError

    errand, resources = _unpacked(sys.stdin.buffer.read())
    die_with_parent(errand.parent)
    name_process("oct-access")
    with contextlib.suppress(OSError):  # a system may forbid it; it is but a courtesy
        os.nice(_POLITENESS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    gc.disable()  # everything goes when the process does
    try:
        answer = answer_to(errand, resources)
    except InquiryError as error:
        sys.stdout.buffer.write(str(error).encode())
        return _REFUSED
    sys.stdout.buffer.write(answer.SerializeToString())
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # taking the objects apart one by one would take as long as the work
