"""The link process: lives in the private network namespace, and opens sockets there for others.

It serves whoever comes by a door, within the door's role, or processes of its own user over a Unix
socket. Somebody else keeps these, so that requests wait while it is replaced. Beyond memory of the
plan it has no state of its own: namespace, device, addresses, firewall and sockets stay when it
ends, and its users give listening sockets back to the next one. It keeps one capability,
CAP_NET_ADMIN over its namespace, and makes nothing outside.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import logging
import os
import resource
import selectors
import signal
import socket
import struct
import sys
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from octelium.tunnel.link import addresses, capabilities, doors, firewall, open_places, opening, tun
from octelium.tunnel.link.configure import Outcome, configure, put_in_place
from octelium.tunnel.link.link_events import LinkEvents
from octelium.tunnel.link.namespace import NamespaceError, PrivateNamespace
from octelium.tunnel.link.open_places import OpenPlacesError
from octelium.tunnel.link.plan import LinkPlan, LinkStatus
from octelium.tunnel.link.protocol import ProtocolError, Reply, Request, receive
from octelium.tunnel.link.sysctls import SysctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.tunnel.link.open_places import OpenPlace

    Key = tuple[opening.Kind, socket.AddressFamily, int]

_LOG = logging.getLogger(__name__)
_MOST_CLIENTS = 256
"""Of one role."""
_MOST_LISTENERS = 4096
_OTHER_FILES = 512
"""Open files beside the listening sockets: clients, and what is on its way to them."""
_SIOCGSKNS = 0x894C
_SO_PROTOCOL = 38
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_PR_SET_PDEATHSIG = 1
EXIT_UNUSABLE = 78
"""Exit status of a link process that could not start, and would not after a restart either."""


class RefusedError(Exception):
    """A request that was understood, and is not fulfilled; `number` is an errno."""

    def __init__(self, reason: str, number: int) -> None:
        super().__init__(reason)
        self.number = number


@dataclass(slots=True)
class Helper:
    """Serves requests at `listening`, or of those who come by `doors`, inner ends by role; to be
    run within the private namespace.
    """

    listening: socket.socket | None
    plan: LinkPlan | None = None
    doors: Mapping[str, socket.socket] = field(default_factory=dict)
    _outcome: Outcome | None = None
    _places: frozenset[OpenPlace] = frozenset()
    _listeners: dict[Key, socket.socket] = field(default_factory=dict)
    _holders: dict[Key, set[socket.socket]] = field(default_factory=dict)
    """Which clients have each listening socket."""
    _clients: dict[socket.socket, str] = field(default_factory=dict)
    """Each one's role, empty for those who may ask for everything."""
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)

    def serve(self, ready: Callable[[], None]) -> None:
        """Serve until the process ends; `ready` is called once that is so."""
        if self.plan is not None:
            self._outcome = configure(self.plan)
        if self.listening is not None:
            self._watch(self.listening, self._accept)
        for role, door in self.doors.items():
            self._watch(door, partial(self._answer_door, role))
        self._selector.register(LinkEvents(), selectors.EVENT_READ, self._restore)
        ready()
        while True:
            for key, _ in self._selector.select():
                key.data(key.fileobj)

    def _watch(self, one: socket.socket, readable: Callable[[socket.socket], None]) -> None:
        one.setblocking(False)
        self._selector.register(one, selectors.EVENT_READ, readable)

    def _restore(self, events: LinkEvents) -> None:
        """Whatever somebody else does to the device: have it on, with its MTU and its routes, which
        go when it is set down.
        """
        seen = events.take()
        if self.plan is None:
            return
        device, mtu = self.plan.device, self.plan.mtu
        try:
            index = socket.if_nametoindex(device)
            if seen is not None and index not in seen:
                return
            was_up = tun.is_up(device)
            if not was_up or seen is None or seen[index].mtu != mtu:
                addresses.set_up(device, mtu)
            if not was_up:
                _LOG.warning("%s was set down: it is up again", device)
            put_in_place(self.plan)
        except OSError as error:
            _LOG.error("%s cannot be restored: %s", device, error)

    def _answer_door(self, role: str, door: socket.socket) -> None:
        try:
            channel = doors.answer(door)
        except BlockingIOError:  # another one was quicker, as while one is replaced
            return
        except (ProtocolError, OSError) as error:
            _LOG.warning("a %s cannot be served: %s", role, error)
            return
        self._take(channel, role)

    def _take(self, channel: socket.socket, role: str) -> None:
        if sum(each == role for each in self._clients.values()) >= _MOST_CLIENTS:
            _LOG.warning("a %s refused, beside %d", role or "client", _MOST_CLIENTS)
            channel.close()
            return
        self._clients[channel] = role
        self._watch(channel, self._read)

    def _accept(self, listening: socket.socket) -> None:
        try:
            channel, _ = listening.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                _LOG.warning("a client cannot be served: %s", error)
            return
        credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, uid, _ = struct.unpack("=iII", credentials)
        if uid != os.geteuid():
            _LOG.warning("a client of user %s refused", uid)
            channel.close()
            return
        self._take(channel, "")

    def _hang_up(self, channel: socket.socket) -> None:
        self._selector.unregister(channel)
        del self._clients[channel]
        # Its listening sockets stay: what waits in their backlogs is for whoever comes next.
        for holders in self._holders.values():
            holders.discard(channel)
        channel.close()

    def _read(self, channel: socket.socket) -> None:
        """Answer one request; whoever talks nonsense, or does not listen, is hung up on."""
        received: list[int] = []
        opened: list[int] = []
        try:
            data, received = receive(channel)
            if not data:
                self._hang_up(channel)
                return
            request = Request.decode(data)
            _check_descriptors(request, received)
            reply = self._answer(channel, request, received, opened)
            socket.send_fds(channel, [reply.encode()], opened, socket.MSG_NOSIGNAL)
        except ProtocolError as error:
            _LOG.warning("not a request: %s", error)
            self._hang_up(channel)
        except OSError as error:
            _LOG.debug("a client is gone: %s", error)
            self._hang_up(channel)
        finally:
            for descriptor in (*received, *opened):
                os.close(descriptor)

    def _answer(
        self, channel: socket.socket, request: Request, received: list[int], opened: list[int]
    ) -> Reply:
        try:
            if role := self._clients[channel]:
                doors.check(role, request)
            if request.do == "configure":
                assert request.plan is not None
                places = open_places.read(received[0]) if received else frozenset()
                self._configure(request.plan, places)
            elif request.do == "status":
                return Reply(request.number, result=self._status().to_wire())
            elif self.plan is None:
                return Reply(request.number, "there is no plan yet", errno.ENETDOWN, again=True)
            elif request.do == "tun":
                device = tun.open_tun(self.plan.device, persistent=True, offload=self.plan.offload)
                opened.append(device.descriptor)
                tun.settle(self.plan.device)
                # Any change waits for the one that the kernel makes in the background.
                addresses.set_up(self.plan.device)
                result = {"offloads": device.offloads, "mtu": self.plan.mtu}
                return Reply(request.number, result=result)
            elif request.do == "adopt":
                self._adopt(channel, request, received)
            elif request.do == "release":
                self._release(channel, request)
            elif request.do == "listen":
                opened.append(os.dup(self._listener(channel, request).fileno()))
            else:
                made = (request.kind, request.family)
                opened += (opening.unconnected(*made).detach() for _ in range(request.count))
            return Reply(request.number)
        except RefusedError as error:
            return Reply(request.number, str(error), error.number)
        except doors.RoleError as error:
            _LOG.warning("refused: %s", error)
            return Reply(request.number, str(error), errno.EPERM)
        except OSError as error:
            busy = error.errno in (errno.EADDRINUSE, errno.EBUSY)
            return Reply(
                request.number, error.strerror or str(error), error.errno or errno.EIO, busy
            )
        except OpenPlacesError as error:
            return Reply(request.number, str(error), errno.EINVAL)
        except SysctlError as error:
            return Reply(request.number, str(error), errno.EROFS)

    def _configure(self, plan: LinkPlan, places: frozenset[OpenPlace]) -> None:
        """A plan that cannot be put in force leaves the one before in force."""
        if plan == self.plan and self._outcome is not None:
            if places != self._places:
                self._open(places)
            return
        if self.plan is not None and plan.device != self.plan.device:
            raise RefusedError(f"the device is {self.plan.device} for good", errno.EINVAL)
        before, self._outcome = self.plan, None
        try:
            self._outcome = configure(plan, places)
        except BaseException:
            if before is not None:
                self._outcome = configure(before, self._places)
            raise
        self.plan, self._places = plan, places

    def _open(self, places: frozenset[OpenPlace]) -> None:
        assert self.plan is not None
        try:
            if self._outcome is not None and self._outcome.firewall == "active":
                firewall.change_places(self._places, places)
        except OSError as error:  # somebody else has changed it
            _LOG.warning("the firewall is made anew: %s", error)
            self._outcome = None
            self._outcome = configure(self.plan, places)
        self._places = places

    def _status(self) -> LinkStatus:
        clients = len(self._clients)
        if self.plan is None or self._outcome is None:
            return LinkStatus(None, clients=clients)
        counters = firewall.counters() if self._outcome.firewall == "active" else {}
        return LinkStatus(
            self.plan,
            self._outcome.firewall,
            counters,
            self._outcome.unset,
            len(self._listeners),
            clients,
        )

    def _listener(self, channel: socket.socket, request: Request) -> socket.socket:
        key = (request.kind, request.family, request.port)
        if (found := self._listeners.get(key)) is None:
            self._room_for_listener()
            # Taken: another user of an earlier link process has it, and will give it back.
            found = self._listeners[key] = opening.listening(*key)
        self._holders.setdefault(key, set()).add(channel)
        return found

    def _release(self, channel: socket.socket, request: Request) -> None:
        """Close a listening socket that no client has any longer."""
        key = (request.kind, request.family, request.port)
        holders = self._holders.get(key, set())
        holders.discard(channel)
        if not holders and key in self._listeners:
            self._listeners.pop(key).close()
            self._holders.pop(key, None)

    def _room_for_listener(self) -> None:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = min(_MOST_LISTENERS, files - _OTHER_FILES)
        if len(self._listeners) >= most:
            raise RefusedError(f"{most} listening sockets are the most here", errno.EMFILE)

    def _adopt(self, channel: socket.socket, request: Request, received: list[int]) -> None:
        """Take a listening socket that an earlier link process made, from who still has it."""
        key = (request.kind, request.family, request.port)
        if key not in self._listeners:
            self._room_for_listener()
            with _borrowed(received) as given:
                wrong = _mismatch(given, *key)
                if wrong:
                    raise RefusedError(f"not a listening socket of ours: {wrong}", errno.EINVAL)
                # Not given.dup(): it would make the socket block, in every process that has it.
                self._listeners[key] = socket.socket(fileno=os.dup(given.fileno()))
        self._holders.setdefault(key, set()).add(channel)


def _check_descriptors(request: Request, received: list[int]) -> None:
    listed = request.plan is not None and request.plan.is_listed
    if len(received) != (request.do == "adopt" or listed):
        raise ProtocolError(f"{request.do} with {len(received)} descriptors")


def _borrowed(received: list[int]) -> socket.socket:
    """A socket for a received descriptor, which is then its to close."""
    descriptor = received.pop()
    try:
        return socket.socket(fileno=descriptor)
    except OSError as error:
        os.close(descriptor)
        raise RefusedError("not a socket", errno.ENOTSOCK) from error


def _mismatch(
    given: socket.socket, kind: opening.Kind, family: socket.AddressFamily, port: int
) -> str:
    """What of a socket is not as of one that listens at a port of this namespace; empty if all is.

    The namespace comes first: of another's socket nothing else is looked at.
    """
    try:
        descriptor = fcntl.ioctl(given.fileno(), _SIOCGSKNS)
    except OSError as error:
        return f"its network namespace cannot be told ({error.strerror})"
    try:
        if not os.path.samestat(os.fstat(descriptor), os.stat("/proc/self/ns/net")):  # noqa: PTH116
            return "another network namespace"
    finally:
        os.close(descriptor)
    if given.family != family:
        return "another family"
    if given.getsockopt(socket.SOL_SOCKET, _SO_PROTOCOL) != _PROTOCOLS[kind]:
        return "another protocol"
    accepts = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if bool(accepts) != (kind == "tcp"):
        return "does not listen"
    wanted = "::" if family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104
    return "" if given.getsockname()[:2] == (wanted, port) else "another address or port"


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when `parent` ends; leave if that was already (prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(0)


def run(
    listening: socket.socket | None,
    namespace: PrivateNamespace,
    *,
    parent: int,
    plan: LinkPlan | None = None,
    doors: Mapping[str, socket.socket] = MappingProxyType({}),
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Be the link process: enter the namespace, give up what is not needed, serve for ever.

    `listening` and `doors` are as in `Helper`. `parent` is the process with which this one ends.
    Without a `plan`, one is waited for.

    Raises:
        NamespaceError, SysctlError, OSError: it cannot start; the text says what to do.
    """
    namespace.enter()
    capabilities.keep_only(capabilities.NET_ADMIN)
    die_with_parent(parent)  # entering a user namespace may have undone an earlier request
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Helper(listening, plan, doors).serve(ready)


def _say_ready() -> None:
    os.write(1, b"ready\n")  # at once, however stdout is buffered


def main() -> None:
    """Be the link process of whoever gives one JSON object as the only argument.

    Members: `parent` (its process id), `listening` and `namespace` (inherited descriptors), `plan`
    (or null). `ready` on stdout means that requests are served.
    """
    given = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="link %(levelname)s %(message)s")
    try:
        run(
            socket.socket(fileno=given["listening"]),
            PrivateNamespace.of(given["namespace"]),
            parent=given["parent"],
            plan=given["plan"] and LinkPlan.from_wire(given["plan"]),
            ready=_say_ready,
        )
    except (NamespaceError, SysctlError, OSError) as error:
        _LOG.error("%s", error)
        sys.exit(EXIT_UNUSABLE)


if __name__ == "__main__":
    main()
