"""The process that evaluates Rego modules for another one.

It reads questions from its standard input and writes answers to its standard output, one after the
other, until the input ends. Its memory is limited, it writes no files, and it ends with its parent.
Who it works for kills it when an answer takes too long.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from octelium.octovigil.rego.frames import READY, Answer, FrameError, Reader, pack, read_question
from octelium.policy.rego.module import Purpose, evaluate
from octelium.policy.rego.needed import UNDEFINED, RegoBudgetError, RegoError

if TYPE_CHECKING:
    from octelium.octovigil.rego.frames import Question

MEMORY: Final = 512 * 1024 * 1024
"""Bytes of address space."""
_FILES: Final = 64
_RECURSION: Final = 20_000
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_NO_NEW_PRIVS: Final = 38
_CHUNK: Final = 1 << 20


def answer(question: Question) -> Answer:
    """What the evaluation comes to; every failure is an answer."""
    try:
        document = msgspec.json.decode(question.document)
        purpose = Purpose(question.package, question.rule)
        value = evaluate(question.text, purpose, document, question.now_ns)
        return Answer() if value is UNDEFINED else Answer(msgspec.json.encode(value))
    except RegoBudgetError as error:
        return Answer(error=str(error), spent=True)
    except MemoryError:
        return Answer(error="the evaluation takes more memory than it may", spent=True)
    except (RegoError, ValueError, TypeError, RecursionError) as error:
        return Answer(error=str(error) or type(error).__name__)


def confine(parent: int) -> None:
    """Give up what evaluating takes no part in, and end with `parent` (prctl(2), getrlimit(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(0)
    libc.prctl(_PR_SET_NAME, b"oct-rego")
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (allowed, allowed))


def serve(reading: int, writing: int) -> None:
    """Answer questions until there are no more."""
    reader = Reader()
    write_all(writing, pack(READY))
    while True:
        data = os.read(reading, _CHUNK)
        if not data:
            return
        reader.feed(data)
        while (payload := reader.frame()) is not None:
            try:
                reply = pack(answer(read_question(payload)))
            except FrameError as error:
                reply = pack(Answer(error=str(error)))
            write_all(writing, reply)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def main() -> None:
    """Serve the process whose id stands in the first argument."""
    writing = os.dup(1)
    os.dup2(2, 1)  # whatever prints must not get between the frames
    confine(int(sys.argv[1]))
    sys.setrecursionlimit(_RECURSION)
    # What evaluations import late may need files; the first one need not wait for it.
    import octelium.policy.rego.program  # noqa: F401

    serve(0, writing)


if __name__ == "__main__":
    main()
