from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from octelium.tunnel.engines import udp
from octelium.tunnel.engines.udp import MOST_WAITING, UdpPort
from tests.tunnel.engines.pairs import udp_socket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture(params=[V4, V6])
def ports(request: Any) -> Iterator[tuple[UdpPort, UdpPort]]:
    with udp_socket(request.param) as one, udp_socket(request.param) as other:
        yield UdpPort(one, Counter()), UdpPort(other, Counter())


def place(port: UdpPort) -> Any:
    return port.socket.getsockname()


def turns(port: UdpPort, count: int) -> list[list[tuple[memoryview, Any]]]:
    """What came in each turn until there were so many: a busy kernel delivers later."""
    found: list[list[tuple[memoryview, Any]]] = []
    while sum(map(len, found)) < count:
        assert select.select([port.socket], [], [], 60)[0], found
        found.append(port.receive())
    return found


def one_of(port: UdpPort) -> tuple[memoryview, Any]:
    """The only datagram that comes."""
    ((found,),) = turns(port, 1)
    return found


def test_a_burst_is_one_call_and_comes_as_datagrams(ports: tuple[UdpPort, UdpPort]) -> None:
    one, other = ports
    datagrams = [bytes([number]) * 1300 for number in range(40)] + [b"last"]
    one.send((place(other), datagrams))
    found = [each for turn in turns(other, 41) for each in turn]
    assert [bytes(data) for data, _ in found] == datagrams
    assert {source for _, source in found} == {place(one)}
    assert one._counters["udp_sent"] == other._counters["udp_received"] == 41
    assert other._counters["udp_received_calls"] <= 2
    assert other.receive() == []


def test_a_turn_is_bounded(ports: tuple[UdpPort, UdpPort]) -> None:
    one, other = ports
    for _ in range(40):
        one.send((place(other), [b"x"]))
    sizes = [len(turn) for turn in turns(other, 40)]
    assert sum(sizes) == 40
    assert max(sizes) < 40


class Unprivileged:
    """A socket of somebody without CAP_NET_ADMIN."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if option in (udp._SO_RCVBUFFORCE, udp._SO_SNDBUFFORCE):
            raise PermissionError(errno.EPERM, "not permitted")
        self._real.setsockopt(level, option, value)


@pytest.mark.parametrize("option", [socket.SO_RCVBUF, socket.SO_SNDBUF])
def test_a_larger_buffer_that_was_granted_stays(option: int) -> None:
    with udp_socket(V4) as bound, udp_socket(V4) as plain:
        plain.setsockopt(socket.SOL_SOCKET, option, udp.BUFFER)
        granted = plain.getsockopt(socket.SOL_SOCKET, option)
        force = {socket.SO_RCVBUF: udp._SO_RCVBUFFORCE, socket.SO_SNDBUF: udp._SO_SNDBUFFORCE}
        with contextlib.suppress(PermissionError):
            bound.setsockopt(socket.SOL_SOCKET, force[option], udp.BUFFER // 2)
        before = bound.getsockopt(socket.SOL_SOCKET, option)
        UdpPort(Unprivileged(bound), Counter())  # type: ignore[arg-type]  # all that it uses
        assert bound.getsockopt(socket.SOL_SOCKET, option) == max(before, granted)


@pytest.mark.parametrize("option", [socket.SO_RCVBUF, socket.SO_SNDBUF])
def test_a_small_buffer_becomes_what_is_granted(option: int) -> None:
    with udp_socket(V4) as bound, udp_socket(V4) as plain:
        plain.setsockopt(socket.SOL_SOCKET, option, udp.BUFFER)
        bound.setsockopt(socket.SOL_SOCKET, option, 4096)
        UdpPort(Unprivileged(bound), Counter())  # type: ignore[arg-type]  # all that it uses
        granted = plain.getsockopt(socket.SOL_SOCKET, option)
        assert bound.getsockopt(socket.SOL_SOCKET, option) == granted > 8192


class Refusing:
    """A socket that refuses: `errors` come in turn, None is success."""

    def __init__(self, real: socket.socket, *errors: int | None) -> None:
        self._real = real
        self.errors = list(errors)
        self.sent: list[bytes] = []
        self.controls: list[list[Any]] = []

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _next(self) -> None:
        number = self.errors.pop(0) if self.errors else None
        if number is not None:
            raise OSError(number, "refused")

    def sendmsg(self, datagrams: Sequence[bytes], control: list[Any], *_: object) -> None:
        self._next()
        self.sent += datagrams
        self.controls.append(control)

    def recvmsg(self, *sizes: int) -> Any:
        self._next()
        return self._real.recvmsg(*sizes)


def refusing(*errors: int | None) -> tuple[UdpPort, Any, Counter[str]]:
    counters: Counter[str] = Counter()
    real = udp_socket()
    port = UdpPort(real, counters)
    port.socket = fake = Refusing(real, *errors)  # type: ignore[assignment]  # close enough
    return port, fake, counters


@pytest.mark.parametrize(
    "number",
    [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM, errno.ENOBUFS, errno.EADDRNOTAVAIL],
)
def test_what_cannot_be_sent_is_counted(number: int) -> None:
    port, fake, counters = refusing(number, None)
    with fake:
        port.send((("127.0.0.1", 9), [b"a", b"b"]))
        port.send((("127.0.0.1", 9), [b"c"]))
    assert fake.sent == [b"c"]
    assert counters[f"udp_send_{errno.errorcode[number]}"] == 2
    assert not port.waiting


@pytest.mark.parametrize(("number", "again"), [(errno.EIO, False), (errno.EMSGSIZE, True)])
def test_bursts_that_the_kernel_cannot_cut_go_one_by_one(number: int, again: bool) -> None:
    port, fake, counters = refusing(number, None, errno.EMSGSIZE, None)
    with fake:
        port.send((("127.0.0.1", 9), [b"a", b"b", b"c"]))
    assert fake.sent == [b"a", b"c"]
    assert counters["udp_send_EMSGSIZE"] == 1
    assert counters["udp_unsegmented"] == 1
    assert port._segments is again


def test_a_full_socket_keeps_the_order() -> None:
    full = errno.EAGAIN
    port, fake, counters = refusing(errno.EIO, None, full, full, None, None, None)
    with fake:
        port.send((("127.0.0.1", 9), [b"a", b"b", b"c"]))
        assert fake.sent == [b"a"]
        port.send((("127.0.0.1", 9), [b"d"]))
        port.flush()
        assert fake.sent == [b"a"]
        port.flush()
    assert fake.sent == [b"a", b"b", b"c", b"d"]
    assert not port.waiting
    assert counters["udp_sent"] == 4


def test_what_waits_is_bounded() -> None:
    port, fake, counters = refusing(errno.EAGAIN)
    with fake:
        for _ in range(MOST_WAITING + 3):
            port.send((("127.0.0.1", 9), [b"a", b"b"]))
    assert len(port.waiting) == MOST_WAITING
    assert counters["udp_dropped"] == 6


def test_errors_of_receiving_are_counted() -> None:
    port, fake, counters = refusing(errno.ECONNREFUSED)
    with fake:
        fake._real.sendto(b"x", fake._real.getsockname())
        assert bytes(one_of(port)[0]) == b"x"
    assert counters["udp_receive_ECONNREFUSED"] == 1


def test_which_families_a_socket_takes() -> None:
    with udp_socket(V4) as four, udp_socket(V6) as six:
        assert UdpPort(four, Counter()).takes_ipv4
        assert not UdpPort(six, Counter()).takes_ipv4
    with socket.socket(V6, socket.SOCK_DGRAM) as both:
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        assert UdpPort(both, Counter()).takes_ipv4


@pytest.mark.parametrize("family", [V4, V6])
@pytest.mark.parametrize("size", [1, 3])
def test_answers_leave_from_where_they_were_asked(family: socket.AddressFamily, size: int) -> None:
    """The kernel takes what it told; `test_tunnel_engines` has a host with two addresses."""
    counters: Counter[str] = Counter()
    with udp_socket(family) as caller, socket.socket(family, socket.SOCK_DGRAM) as any_address:
        any_address.bind(("127.0.0.2" if family == V4 else "::1", 0))
        port = UdpPort(any_address, counters, answers_from=True)
        caller.connect(any_address.getsockname())
        caller.settimeout(60)
        caller.send(b"hello")
        _, place = one_of(port)
        assert place in port._sources
        port.send((place, [b"answer"] * size))
        assert caller.recv(100) == b"answer"
        assert counters["udp_sent"] == size


@pytest.mark.parametrize(
    ("bound", "own"), [("0.0.0.0", "127.0.0.3"), ("::", "127.0.0.3"), ("::", "::1")]
)
def test_who_was_heard_before_a_restart_is_sent_to_from_the_same_address(
    bound: str, own: str
) -> None:
    family = V6 if ":" in bound else V4
    theirs = udp_socket(V6 if ":" in own else V4)
    with theirs as caller, socket.socket(family, socket.SOCK_DGRAM) as everywhere:
        if family == V6:
            everywhere.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        everywhere.bind((bound, 0))
        target = own, everywhere.getsockname()[1]
        caller.settimeout(60)
        before = UdpPort(everywhere, Counter(), answers_from=True)
        caller.sendto(b"hello", target)
        _, place = one_of(before)
        assert before.own_address(place) == own
        after = UdpPort(everywhere, Counter(), answers_from=True)
        assert after.own_address(place) == ""
        after.answer_from(place, before.own_address(place))
        after.answer_from(place, "127.0.0.9")  # what is known holds
        assert after.own_address(place) == own
        after.send((place, [b"poke"]))
        assert caller.recvfrom(100)[1][:2] == target


def test_a_host_that_calls_itself_chooses_no_address() -> None:
    with udp_socket(V4) as bound:
        port = UdpPort(bound, Counter())
        port.answer_from(("127.0.0.1", 9), "127.0.0.3")
        assert port.own_address(("127.0.0.1", 9)) == ""
        port = UdpPort(bound, Counter(), answers_from=True)
        port.answer_from(("127.0.0.1", 9), "::1")
        assert port.own_address(("127.0.0.1", 9)) == ""


@pytest.mark.parametrize("size", [1, 2])
def test_an_own_address_that_is_no_more_is_forgotten(size: int) -> None:
    port, fake, counters = refusing(errno.EADDRNOTAVAIL)
    with fake:
        port._sources[("127.0.0.1", 9)] = source = (socket.IPPROTO_IP, 8, bytes(12))
        port.send((("127.0.0.1", 9), [b"a"] * size))
        assert fake.sent == [b"a"] * size
        assert source not in fake.controls[0]
        assert not port._sources
        assert counters["udp_sent"] == size
        assert not any("ADDR" in name for name in counters)


def test_own_addresses_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_MOST_SOURCES", 2)
    port, fake, _ = refusing()
    with fake:
        for number in range(1, 5):
            port._remember(("127.0.0.1", number), (0, 8, b""))
        assert [place[1] for place in port._sources] == [3, 4]
