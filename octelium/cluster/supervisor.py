"""The supervisor: owns the sockets and the lock, starts the processes and replaces those that end.

It does nothing else, so that nothing else can bring it down. Listening sockets are its own, so
connections wait in their backlogs while a process is replaced; so are the tunnel's sockets and the
private network, which go on without the processes that serve them.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import octelium
from octelium.cluster.child import EXIT_UNUSABLE, VARIABLE, Assignment
from octelium.cluster.layout import Layout
from octelium.cluster.settings import Settings, to_wire
from octelium.cluster.sockets import listen_apart, listen_tcp, listen_unix
from octelium.cluster.tunnel import Ground, TunnelError, prepare
from octelium.replica.committed import CommittedRevision

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)
WORKER_GRACE = 1.2
"""Seconds that workers have to end their streams after SIGTERM."""
CONTROL_GRACE = 0.5
"""Seconds that the control process has after the last worker is gone."""
_LONGEST_DELAY = 5.0
_SECRETS = ("OCTELIUM_VAULT_KEY", "OCTELIUM_AUTH_TOKEN_SAVE_PATH")
"""Variables that are the control process' business alone."""
_FIRST_ATTEMPTS = 3
"""Starts of a process that may fail before the Cluster was ever up."""
_STABLE = 10.0
_LINK_STARTS = 10.0
"""Seconds that the first link process has, before any other process is started."""
_TUNNEL = ("link", "gateway")


class StartError(Exception):
    """A process could not start, and a restart would not help."""


@dataclass(slots=True)
class _Child:
    """One process and the history that decides when it is started again."""

    name: str
    role: str
    descriptors: dict[str, list[int]]
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    started: float = 0.0
    delay: float = 0.0
    due: float = 0.0
    failures: int = 0
    starts: int = 0
    error: str = ""
    pipe: int = -1
    received: bytes = b""


@dataclass(slots=True)
class Supervisor:
    """Runs one Cluster until a signal ends it.

    `announce` is called with each message of a child (`{"ready": true, …}`) and its name, and with
    `{"up": true}` once every process is ready. `{"tunnel": …}` says how clients connect to the
    private network, `{"no_tunnel": …}` why they do not although they might.
    """

    settings: Settings
    announce: Callable[[str, dict[str, Any]], None]
    _children: list[_Child] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    _ground: Ground | None = None
    _stopping: bool = False
    _was_up: bool = False
    _planned: bool = False
    _failure: str = ""

    def run(self) -> None:
        """Start everything, and return after a clean stop.

        Raises:
            DataDirectoryError, ListenError: the place or an address is taken.
            StartError: a process says that it cannot start.
        """
        layout = Layout(self.settings.data_dir)
        lock = layout.prepare()
        try:
            self._watch_signals()
            self._plan_tunnel()
            if not self._stopping:
                self._plan(layout)
                for child in self._children:
                    if child.process is None:
                        self._start(child)
            while not self._stopping:
                self._step()
        finally:
            self._stop()
            for bound in self._sockets:
                bound.close()
            if self._ground is not None:
                self._ground.close()
            layout.withdraw()
            os.close(lock)
        if self._failure:
            raise StartError(self._failure)

    def _plan_tunnel(self) -> None:
        """Be a Gateway if that is wanted and possible."""
        if self.settings.tunnel == "off":
            return
        try:
            self._ground = prepare(self.settings)
            self.settings = replace(self.settings, engine=self._ground.engine)
            link = _Child("link", "link", self._ground.for_link())
            self._children.append(link)
            self._start(link)
            deadline = time.monotonic() + _LINK_STARTS
            while not link.ready and link in self._children and not self._stopping:
                self._step(deadline - time.monotonic())
                if time.monotonic() > deadline:
                    self._without_tunnel("the link process does not start")
        except TunnelError as error:
            self._without_tunnel(str(error))

    def _without_tunnel(self, why: str) -> None:
        """Be no Gateway after all; where one was asked for, the start has failed."""
        if self.settings.tunnel == "on":
            self._failure = f"--tunnel on: {why}"
            self._stopping = True
            return
        ended = [child for child in self._children if child.role in _TUNNEL]
        self._children = [child for child in self._children if child.role not in _TUNNEL]
        self._end_all(ended, 0.0)
        for child in ended:
            self._forget_pipe(child)
        if self._ground is not None:
            self._ground.close()
            self._ground = None
        self.settings = replace(self.settings, tunnel="off")
        self.announce("supervisor", {"no_tunnel": why})

    def _plan(self, layout: Layout) -> None:
        public: list[socket.socket] = []
        for address in self.settings.listen:
            public += listen_tcp(address, "--listen")
        admin = listen_tcp(self.settings.admin_listen, "--admin-listen")
        self._sockets += [*public, *admin]
        unix = {
            name: listen_unix(getattr(layout, name)) for name in ("feed", "auth", "portal", "admin")
        }
        if self.settings.controller == "on":
            place = Path(self.settings.controller_socket or layout.controller)
            if place == layout.controller:
                place.parent.mkdir(mode=0o700, exist_ok=True)
            unix["controller"] = listen_apart(place)
        self._sockets += unix.values()
        committed = CommittedRevision.create()
        shared = {"committed": [committed.fileno()]}
        control = {
            **shared,
            **{name: [bound.fileno()] for name, bound in unix.items()},
            "health": [bound.fileno() for bound in admin],
        }
        self._children.append(_Child("control", "control", control))
        if self._ground is not None:
            gateway = {**shared, **self._ground.for_gateway()}
            self._children.append(_Child("gateway", "gateway", gateway))
            control |= self._ground.door("control")
        worker = {**shared, "listen": [bound.fileno() for bound in public]}
        if self._ground is not None:
            worker |= self._ground.door("worker")
        self._planned = True
        for number in range(self.settings.workers):
            self._children.append(_Child(f"worker-{number}", "worker", dict(worker)))

    def _watch_signals(self) -> None:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writing)
        self._selector.register(reading, selectors.EVENT_READ, None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _end(self, *_: object) -> None:
        self._stopping = True

    def _start(self, child: _Child) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        descriptors = {**child.descriptors, "ready": [writing]}
        assignment = Assignment(
            child.role,
            child.name,
            os.getpid(),
            to_wire(self.settings),
            descriptors,
            first=child.starts == 0,
        )
        child.starts += 1
        child.error = ""
        code = Path(octelium.__file__).parent.parent
        secret = () if child.role == "control" else _SECRETS
        environment = {
            **{name: value for name, value in os.environ.items() if name not in secret},
            VARIABLE: assignment.to_text(),
            "PYTHONPATH": str(code),
        }
        # Unpacked, everything stands beside the code; what the machine has is not wanted.
        isolated = ["-S"] if (code / "bin/preamble.py").exists() else []
        child.process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-P", "-s", *isolated, "-m", "octelium.cluster.child"],
            env=environment,
            pass_fds=[number for numbers in descriptors.values() for number in numbers],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C reaches the supervisor alone
        )
        os.close(writing)
        os.set_blocking(reading, False)
        child.ready, child.started, child.pipe, child.received = (
            False,
            time.monotonic(),
            reading,
            b"",
        )
        self._selector.register(reading, selectors.EVENT_READ, child)

    def _step(self, longest: float = 5.0) -> None:
        now = time.monotonic()
        waits = [longest]
        waits += [child.due - now for child in self._children if child.process is None]
        for key, _ in self._selector.select(max(0.0, min(waits))):
            if key.data is None:
                os.read(key.fd, 4096)
            else:
                self._listen_to(key.data)
        for child in tuple(self._children):
            if child.process is not None and child.process.poll() is not None:
                self._ended(child)
            elif child.process is None and child.due <= time.monotonic() and not self._stopping:
                self._start(child)

    def _listen_to(self, child: _Child) -> None:
        if child.pipe < 0:  # closed by what another one said
            return
        data = os.read(child.pipe, 65536)
        if not data:
            self._forget_pipe(child)
            return
        *lines, child.received = (child.received + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message.get("ready"):
                child.ready = True
            if message.get("error"):
                child.error = str(message["error"])
            if message.get("no_tunnel"):
                self._without_tunnel(str(message["no_tunnel"]))
            elif child.role not in _TUNNEL:
                self.announce(child.name, message)
        if self._planned and not self._was_up and all(each.ready for each in self._children):
            self._was_up = True
            if self._ground is not None:
                self.announce("supervisor", {"tunnel": self._ground.describe(self.settings)})
            self.announce("supervisor", {"up": True})

    def _forget_pipe(self, child: _Child) -> None:
        if child.pipe >= 0:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.pipe = -1

    def _ended(self, child: _Child) -> None:
        assert child.process is not None
        status = child.process.returncode
        while child.pipe >= 0:  # what it said last
            try:
                self._listen_to(child)
            except BlockingIOError:
                self._forget_pipe(child)
        child.process = None
        child.failures += 1
        hopeless = status == EXIT_UNUSABLE or child.failures >= _FIRST_ATTEMPTS
        if hopeless and not self._was_up and not child.ready:
            why = child.error or f"{child.name} cannot start; its messages stand above"
            if child.role in _TUNNEL:
                self._without_tunnel(why)
            else:
                self._failure = self._failure or why
                self._stopping = True
            return
        lived = time.monotonic() - child.started
        # At once after a long life; ever later when it fails again and again.
        child.delay = 0.0 if lived > _STABLE else min(_LONGEST_DELAY, child.delay * 2 or 0.05)
        child.due = time.monotonic() + child.delay
        why = f" ({child.error})" if child.error else ""
        _LOG.warning("%s ended with status %s%s; starting it again", child.name, status, why)

    def _stop(self) -> None:
        """Workers first, so that the control process can take their last log records, and while
        the tunnel still carries the ends of their streams.
        """
        for roles, grace in ((("worker",), WORKER_GRACE), ((*_TUNNEL, "control"), CONTROL_GRACE)):
            self._end_all([child for child in self._children if child.role in roles], grace)

    @staticmethod
    def _end_all(children: list[_Child], grace: float) -> None:
        alive = [child.process for child in children if child.process is not None]
        for process in alive:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + grace
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
