"""The evaluating process, as the one that it works for sees it.

Calls block, so they belong into a thread, which must live as long as the process: the kernel ends
a child with the thread that started it.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import octelium
from octelium.octovigil.rego.frames import READY, FrameError, Reader, pack, read_answer

if TYPE_CHECKING:
    from octelium.octovigil.rego.frames import Answer, Question

_CHUNK: Final = 1 << 18
_MODULE: Final = "octelium.octovigil.rego.helper"
_KEPT: Final = ("LANG", "LC_ALL", "PYTHONTZPATH", "TZ")
"""Variables of the environment that evaluations may depend on."""


class HelperProcess:
    """A running process. Deadlines are on the clock `time.monotonic`."""

    def __init__(self, deadline: float) -> None:
        """Start it and wait until it is ready.

        Raises:
            TimeoutError: that takes too long.
            OSError, FrameError: it cannot be started.
        """
        code = Path(octelium.__file__).parent.parent
        # Unpacked, everything stands beside the code; what the machine has is not wanted.
        isolated = ["-S"] if (code / "bin/preamble.py").exists() else []
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-s", *isolated, "-m", _MODULE, str(os.getpid())],
            env={**environment, "PYTHONPATH": str(code)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._writing = self._process.stdin.fileno()
        self._reading = self._process.stdout.fileno()
        os.set_blocking(self._writing, False)
        os.set_blocking(self._reading, False)
        self._reader = Reader()
        try:
            ready = self._receive(deadline) == READY
        except BaseException:
            self.kill()
            raise
        if not ready:
            self.kill()
            raise FrameError("the evaluating process does not say that it is ready")

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether nobody is there to be asked."""
        return self._process.poll() is not None

    def ask(self, question: Question, deadline: float) -> Answer:
        """Its answer. After an error it must be killed.

        Raises:
            TimeoutError: there is none in time.
            OSError, FrameError: it ended, or answers nonsense.
        """
        self._send(pack(question), deadline)
        return self._receive(deadline)

    def interrupt(self) -> None:
        """Let whoever waits for it know that it is over; any thread may call this."""
        self._process.kill()

    def kill(self) -> None:
        """End it and forget it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            _wait(self._writing, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._writing, view) :]
            except BlockingIOError:
                continue

    def _receive(self, deadline: float) -> Answer:
        while True:
            payload = self._reader.frame()
            if payload is not None:
                return read_answer(payload)
            _wait(self._reading, select.POLLIN, deadline)
            data = os.read(self._reading, _CHUNK)
            if not data:
                raise FrameError("the evaluating process ended")
            self._reader.feed(data)


def _wait(descriptor: int, event: int, deadline: float) -> None:
    """Wait for a descriptor. Raises TimeoutError at the deadline."""
    poll = select.poll()
    poll.register(descriptor, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError
