"""Network namespaces of a test's own, joined by virtual cables and switches.

The machine's own network is left alone: every interface is made within a namespace, names are
looked up in files that only the namespace sees (network_namespaces(7), mount_namespaces(7)), and
nothing has a name under /run or /etc that could stay behind. A namespace lives as long as its
keeper, which ends when the test does, killed or not, and everything in the namespace with it.

Needs root, or a kernel that lets users have user namespaces (user_namespaces(7)).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Privilege = Literal["root", "user"]

KEEPER = Path(__file__).with_name("keeper.py")
LOCALHOST = {"localhost": "127.0.0.1"}
_NAME = re.compile("[a-z0-9-]{1,12}")  # with `to-` before it, a name that Linux takes
_FIRST = "first"
"""Shows that it works, and holds the user namespace of the others."""
_LISTEN = """
import socket, sys
channel, (host, port) = socket.socket(fileno=int(sys.argv[1])), sys.argv[2:]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.create_server((host, int(port)), family=family) as made:
    socket.send_fds(channel, [b"x"], [made.fileno()])
"""
_SECONDS = 120

_unshare = partial(program, "unshare", "util-linux")
_nsenter = partial(program, "nsenter", "util-linux")
_ip = partial(program, "ip", "iproute2")


class NotVerifiedError(RuntimeError):
    """This machine gives a test no network namespaces, so that it can show nothing."""


@dataclass(frozen=True)
class Namespace:
    """A network of one host, with a loopback interface that is its own."""

    name: str
    keeper: subprocess.Popen[str] = field(repr=False)
    etc: Path = field(repr=False)
    with_user: bool = field(repr=False)

    @property
    def enter(self) -> tuple[str, ...]:
        """Words that, put before a command, run it here. The process that they start becomes it."""
        user = ("--user", "--preserve-credentials") if self.with_user else ()
        # Who enters a namespace of mounts begins at its root.
        inside = (program("env", "coreutils"), "-C", str(Path.cwd()))
        return (_nsenter(), "-t", str(self.keeper.pid), "--net", "--mount", *user, "--", *inside)

    def run(self, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises CalledProcessError, with its stderr as a note."""
        given: dict[str, Any] = {"capture_output": True, "check": True, "timeout": _SECONDS}
        try:
            return subprocess.run([*self.enter, *words], text=True, **{**given, **options})
        except subprocess.CalledProcessError as error:
            error.add_note(str(error.stderr))
            raise

    @contextmanager
    def process(self, *words: str | Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """A process that is killed at the end, by the id that it has everywhere."""
        process = subprocess.Popen([*self.enter, *words], text=True, **options)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def listen(self, host: str, port: int = 0) -> socket.socket:
        """A socket that listens here, for a server of this process."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            number = theirs.fileno()
            words = (sys.executable, "-I", "-c", _LISTEN, str(number), host, str(port))
            self.run(*words, pass_fds=(number,))
            _, (descriptor,), *_ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=descriptor)

    def ip(self, *commands: str) -> None:
        """Commands of `ip`, such as `route add default via 10.0.0.1`."""
        self.run(_ip(), "-batch", "-", input="\n".join(commands))

    def resolve(self, addresses: Mapping[str, str]) -> None:
        """Which names there are, beside `localhost`, and their addresses."""
        lines = [f"{address} {name}\n" for name, address in {**LOCALHOST, **addresses}.items()]
        (self.etc / "hosts").write_text("".join(lines))


class Network:
    """Namespaces that can be joined. Those of one user are in one user namespace."""

    def __init__(self, folder: Path, privilege: Privilege) -> None:
        self._folder = folder
        self._with_user = privilege == "user"
        self._namespaces: dict[str, Namespace] = {}

    def namespace(self, name: str) -> Namespace:
        """A new one, joined to nothing. Raises NotVerifiedError."""
        if _NAME.fullmatch(name) is None or name in self._namespaces:
            raise ValueError(f"{name!r} is taken, or not 1 to 12 letters, digits and hyphens")
        etc = self._folder / name
        etc.mkdir()
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        (etc / "hosts").touch()
        made = Namespace(name, self._keeper(etc), etc, self._with_user)
        made.resolve({})
        self._namespaces[name] = made
        return made

    def cable(self, one: Namespace, its: str, other: Namespace, others: str) -> None:
        """Join two namespaces; each gets an interface `to-OTHER` with an address such as
        `10.0.0.1/24` or `fd00::1/64`.
        """
        self._join(one, f"to-{other.name}", other, f"to-{one.name}")
        _address(one, f"to-{other.name}", its)
        _address(other, f"to-{one.name}", others)

    def switch(self, name: str, ends: Mapping[str, str]) -> Namespace:
        """Join namespaces, name → address as in `cable`, by interfaces `to-SWITCH` of each."""
        switch = self.namespace(name)
        switch.ip("link add name bridge type bridge", "link set bridge up")
        for end, address in ends.items():
            self._join(switch, f"to-{end}", self._namespaces[end], f"to-{name}")
            switch.ip(f"link set to-{end} master bridge")
            _address(self._namespaces[end], f"to-{name}", address)
        return switch

    def close(self) -> None:
        """End everything that runs in any of the namespaces, and them."""
        keepers = [namespace.keeper for namespace in self._namespaces.values()]
        self._namespaces.clear()
        failed = []
        for keeper in reversed(keepers):  # the first one may hold the user namespace
            _, complaint = keeper.communicate(timeout=_SECONDS)
            if keeper.returncode:
                failed.append(complaint)
        if failed:
            raise RuntimeError(f"a network namespace does not end: {failed}")

    def _join(self, one: Namespace, name: str, other: Namespace, others: str) -> None:
        one.ip(
            f"link add {name} type veth peer name {others} netns {other.keeper.pid}",
            f"link set {name} up",
        )
        other.ip(f"link set {others} up")

    def _keeper(self, etc: Path) -> subprocess.Popen[str]:
        command = [_unshare(), "--net", "--mount"]
        if self._with_user and not self._namespaces:
            command += ["--user", "--map-root-user"]
        elif self._with_user:
            first = next(iter(self._namespaces.values()))
            entered = ["-t", str(first.keeper.pid), "--user", "--preserve-credentials"]
            command = [_nsenter(), *entered, "--", *command]
        _ip()  # the keeper needs it
        process = subprocess.Popen(
            [*command, "--", sys.executable, "-I", str(KEEPER), str(etc)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt at the terminal is not for it
        )
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            _, complaint = process.communicate(timeout=_SECONDS)
            raise NotVerifiedError(complaint.strip())
        return process


@contextmanager
def network(folder: Path, privileges: Sequence[Privilege] = ()) -> Iterator[Network]:
    """An empty network: as root where one is root, or else within a user namespace.

    `folder` is for its files. Raises NotVerifiedError where neither is possible.
    """
    made = _network(folder, privileges or available())
    try:
        yield made
    finally:
        made.close()


def available() -> tuple[Privilege, ...]:
    """What this user may try, best first."""
    return ("root", "user") if os.geteuid() == 0 else ("user",)


def _network(folder: Path, privileges: Sequence[Privilege]) -> Network:
    complaints = []
    for privilege in privileges:
        base = folder / f"network-of-{privilege}"
        base.mkdir()
        made = Network(base, privilege)
        try:
            made.namespace(_FIRST)
        except NotVerifiedError as error:
            complaints.append(f"as {privilege}: {error}")
        else:
            return made
    raise NotVerifiedError(
        "not verified: no network namespaces here; run the tests as root, or let users have user "
        f"namespaces ({'; '.join(complaints)})"
    )


def _address(namespace: Namespace, interface: str, address: str) -> None:
    # Without the wait of a new IPv6 address, during which nothing can be bound to it.
    nodad = " nodad" if ":" in address else ""
    namespace.ip(f"address add {address} dev {interface}{nodad}")
