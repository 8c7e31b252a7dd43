"""Single pieces of a link, each in a namespace of its own. Each function runs as its own process;
see `worlds.run`.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from octelium.tunnel.link import (
    addresses,
    capabilities,
    firewall,
    helper,
    launch,
    namespace,
    nft,
    tun,
)
from octelium.tunnel.link import protocol as wire_protocol
from octelium.tunnel.link.addresses import Conflict, Route
from octelium.tunnel.link.configure import configure, put_in_place
from octelium.tunnel.link.netlink import NetlinkError
from octelium.tunnel.link.plan import FirewallPlan, LinkPlan
from tests.tunnel.link.worlds import CLUSTER, NOBODY, PATIENCE, link

if TYPE_CHECKING:
    from collections.abc import Iterator

SCOPE = "100.64.0.0/16"


def enter() -> None:
    """Be in a new namespace for the rest of the process."""
    namespace.make().enter()


@contextmanager
def child() -> Iterator[bool]:
    """A forked process for what cannot be undone; True in it. Its failure is ours."""
    number = os.fork()
    if number == 0:
        try:
            yield True
        except BaseException as error:  # to be seen, whatever it is
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    yield False
    assert os.waitpid(number, 0)[1] == 0


def refused(call: object, *arguments: object, by: type[BaseException]) -> BaseException:
    assert callable(call)
    try:
        call(*arguments)
    except by as error:
        return error
    raise AssertionError(f"{call} was not refused")


def device() -> None:
    """A persistent device stays closed as it was; another goes with its descriptor."""
    enter()
    kept = tun.open_tun("kept", persistent=True)
    passing = tun.open_tun("passing", persistent=False)
    assert kept.offloads & (tun.CSUM | tun.TSO4 | tun.TSO6) == tun.CSUM | tun.TSO4 | tun.TSO6
    assert not os.get_blocking(kept.descriptor)
    assert not os.get_inheritable(kept.descriptor)
    addresses.set_up("kept", 1400)
    error = refused(lambda: tun.open_tun("kept", persistent=True), by=tun.TunError)
    assert isinstance(error, OSError)
    assert error.errno == errno.EBUSY
    assert "another process" in str(error)
    index = socket.if_nametoindex("kept")
    shown = subprocess.check_output(["ip", "-details", "link", "show", "kept"], text=True)
    assert "persist on user" in shown, shown  # so that other users may not open it
    os.close(kept.descriptor)
    os.close(passing.descriptor)
    assert {name for _, name in socket.if_nameindex()} & {"kept", "passing"} == {"kept"}
    capabilities.keep_only()  # whose it is may open it again without capabilities
    again = tun.open_tun("kept", persistent=True)
    assert socket.if_nametoindex("kept") == index
    tun.settle("kept")
    os.close(again.descriptor)
    error = refused(lambda: tun.open_tun("new", persistent=True), by=tun.TunError)
    assert "CAP_NET_ADMIN" in str(error)


def _settled_routes() -> set[str]:
    """All routes, once the kernel has added those of its own, which takes it a moment: last that
    of each device's link-local address (RFC 4862 section 5.4).
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        found = _all_routes()
        local = [line for line in found if line.startswith("local fe80::")]
        if all(any(f" dev {name} " in line for line in local) for name in ("t0", "t1")):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def routing() -> None:
    """Addresses and routes become exactly what is wanted; those of others stay."""
    enter()
    tun.open_tun("t0", persistent=True)
    tun.open_tun("t1", persistent=True)
    for name in ("lo", "t0", "t1"):
        addresses.set_up(name)
    addresses.put_addresses("t1", ["10.9.0.1/24"])
    foreign = _settled_routes()
    first = LinkPlan(
        1280, (SCOPE, "fdee::/80"), ("100.65.0.0/16", "fdee:0:0:0:1::/80"), ("100.64.3.1/32",)
    )
    second = LinkPlan(
        1400,
        (SCOPE,),
        (
            "100.65.0.0/16",
            "100.66.0.0/16",
        ),
        ("100.64.3.2/32", "fdee::2/128"),
    )
    for plan in (first, second, second, first):
        used = LinkPlan(
            plan.mtu, plan.local_routes, plan.tun_routes, plan.tun_addresses, device="t0"
        )
        put_in_place(used)
        assert addresses.addresses("t0") == set(plan.tun_addresses)
        index, loopback = socket.if_nametoindex("t0"), socket.if_nametoindex("lo")
        assert addresses.routes() == {
            *(Route(ip_network(text), loopback, True) for text in plan.local_routes),
            *(Route(ip_network(text), index, False, plan.mtu) for text in plan.tun_routes),
        }
        ways = [line for line in _all_routes() if "100.65.0.0/16" in line]
        assert [f"mtu lock {plan.mtu}" in line for line in ways] == [True], ways
        assert addresses.addresses("t1") == {"10.9.0.1/24"}
        assert foreign <= _all_routes()
    with socket.socket(socket.AF_INET6) as bound:
        bound.setsockopt(socket.IPPROTO_IPV6, 78, 1)
        bound.bind(("fdee::77", 80 if os.geteuid() == 0 else 8080))
    put_in_place(LinkPlan(1280, device="t0"))
    assert addresses.routes() == set()
    assert _all_routes() == foreign
    error = refused(addresses.put_routes, [Route(ip_network(SCOPE), 4711, False)], by=NetlinkError)
    assert isinstance(error, OSError)
    assert error.errno == errno.ENODEV


def _all_routes() -> set[str]:
    words = ["ip", "-oneline", "route", "show", "table", "all"]
    lines = set()
    for family in ("-4", "-6"):
        shown = subprocess.run(
            [words[0], family, *words[1:]], capture_output=True, text=True, check=True
        )
        lines |= {" ".join(line.split()) for line in shown.stdout.splitlines()}
    return lines


def overlaps() -> None:
    """Routes of any table that overlap are found; default routes and our own device are not."""
    enter()
    addresses.set_up("lo")
    for name in ("vpn0", "octelium0"):
        tun.open_tun(name, persistent=True)
        addresses.set_up(name)
    assert addresses.overlapping(["100.64.0.0/10", "fdee::/64"]) == []
    for words in (
        "route add default dev vpn0",
        "route add 0.0.0.0/1 dev vpn0",
        "route add 128.0.0.0/1 dev vpn0",
        "-6 route add 2000::/3 dev vpn0",
        "route add 100.100.100.100/32 dev vpn0 table 52",
        "route add 10.42.0.0/24 dev vpn0",
        "route add blackhole 10.43.0.0/16",
        "-6 route add fdee::/48 dev vpn0 metric 5",
        "route add 100.65.0.0/16 dev octelium0",
        "address add 192.168.7.1/24 dev vpn0",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    found = addresses.overlapping(
        ["100.64.0.0/10", "10.0.0.0/8", "fdee::/64", "172.16.0.0/12"], besides=["octelium0"]
    )
    assert set(found) == {
        Conflict("100.64.0.0/10", "100.100.100.100/32", "vpn0"),
        Conflict("10.0.0.0/8", "10.42.0.0/24", "vpn0"),
        Conflict("10.0.0.0/8", "10.43.0.0/16", "no device"),
        Conflict("fdee::/64", "fdee::/48", "vpn0"),
    }, found
    assert Conflict("100.64.0.0/10", "100.65.0.0/16", "octelium0") in addresses.overlapping(
        ["100.64.0.0/10"]
    )
    lan = addresses.overlapping(["192.168.7.128/25"])
    assert {conflict.device for conflict in lan} == {"vpn0"}
    assert "192.168.7.128/25 overlaps with the route" in str(lan[0])


def next_hops() -> None:
    """A router that is in no network of ours is in the way, of whatever kind its route is."""
    enter()
    addresses.set_up("lo")
    for name in ("lan", "octelium0"):
        tun.open_tun(name, persistent=True)
        addresses.set_up(name)
    ways = [
        f"nexthop via 10.8.0.{number} dev {name} onlink"
        for number, name in enumerate(("lan", "octelium0"), 1)
    ]
    for words in (
        "route add default via 10.7.0.1 dev lan onlink",
        f"route add 198.51.100.0/24 {' '.join(ways)}",
        "-6 address add fdee:7::7/128 dev lan nodad",
        "-6 route add fdee:9::1/128 dev lan",
        "route add 203.0.113.0/24 via inet6 fdee:9::1 dev lan",
        "-6 route add 2001:db8::/32 via fdee:9::1 dev lan",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    wanted = ["10.7.0.0/16", "10.8.0.0/16", "10.9.0.0/16", "fdee:9::/64"]
    found = set(addresses.overlapping(wanted, besides=["octelium0"]))
    assert found == {
        Conflict("10.7.0.0/16", "10.7.0.1", "lan", is_hop=True),
        Conflict("10.8.0.0/16", "10.8.0.1", "lan", is_hop=True),
        Conflict("fdee:9::/64", "fdee:9::1/128", "lan"),
        Conflict("fdee:9::/64", "fdee:9::1", "lan", is_hop=True),
    }, found


def ruleset() -> None:
    """The rules read as they were meant, by a program that is not ours."""
    enter()
    plan = FirewallPlan(("100.65.0.0/16", "fdee:0:0:0:1::/80"), (SCOPE, "fdee::/80"), False)
    firewall.put(plan, "octelium0")
    shown = subprocess.run(
        ["nft", "--stateless", "list", "ruleset"], capture_output=True, text=True, check=True
    ).stdout
    for line in (
        "type filter hook input priority filter; policy drop;",
        "type filter hook output priority filter; policy drop;",
        "type filter hook forward priority filter; policy drop;",
        'iifname "octelium0" ip saddr 100.65.0.0/16 ip daddr 100.64.0.0/16 jump from-peers',
        'oifname "octelium0" ip6 saddr fdee::/80 ip6 daddr fdee::1:0:0:0/80 jump to-peers',
        "tcp flags",
        "ip frag-off & 16383 != 0",
        "exthdr frag exists",
        "icmpv6 type packet-too-big",
        "type inet_proto . inet_proto",
        "@nh,96,8 . @th,192,8 @same",
        'drop comment "output-dropped"',
    ):
        assert line in shown, (line, shown)
    assert firewall.counters()["input-dropped"] == 0
    firewall.put(None, "octelium0")
    firewall.put(None, "octelium0")
    assert firewall.counters() == {}


def atomic() -> None:
    """Rules one of which cannot be change nothing."""
    enter()
    firewall.put(CLUSTER.firewall, "octelium0")
    before = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout
    chains = [nft.Chain("input", nft.INPUT, 0, nft.ACCEPT)]
    rules = [nft.Rule("input", "x", (nft.jump("nowhere"),))]
    error = refused(nft.replace_table, firewall.TABLE, chains, rules, by=NetlinkError)
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOENT
    after = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout
    assert before == after
    capabilities.keep_only()
    error = refused(firewall.put, None, "octelium0", by=NetlinkError)
    assert isinstance(error, OSError)
    assert error.errno == errno.EPERM


def no_nftables() -> None:
    """A kernel without nftables is reported, and the rest works."""
    enter()

    absent = OSError(errno.EPROTONOSUPPORT, "Protocol not supported")
    with (
        mock.patch.object(nft, "replace_table", side_effect=absent),
        mock.patch.object(nft, "delete_table", side_effect=absent),
    ):
        assert configure(CLUSTER).firewall == "unavailable: [Errno 93] Protocol not supported"
        assert configure(LinkPlan(1280)).firewall == "none"


def dropping() -> None:
    """Capabilities are gone from every set, and a program that is executed has none either."""
    with child() as here:
        if here:
            capabilities.keep_only(capabilities.NET_ADMIN)
            assert capabilities.effective() == {capabilities.NET_ADMIN}
            shown = subprocess.run(
                ["grep", "^Cap", "/proc/self/status"], capture_output=True, text=True, check=True
            )
            masks = {
                line.split()[0]: int(line.split()[1], 16) for line in shown.stdout.splitlines()
            }
            assert masks["CapBnd:"] == masks["CapEff:"] == 1 << capabilities.NET_ADMIN
            assert masks["CapInh:"] == masks["CapAmb:"] == 0
            capabilities.keep_only()
            assert capabilities.effective() == frozenset()
            refused(os.chroot, "/", by=PermissionError)


def dropping_nothing() -> None:
    """Who has no capability may drop all the same."""
    capabilities.keep_only()
    capabilities.keep_only(capabilities.NET_ADMIN)
    assert capabilities.effective() == frozenset()


def empty() -> None:
    """Nothing is in a new namespace but a loopback interface that is off; ours is another."""
    ours = Path("/proc/self/ns/net").stat().st_ino
    made = namespace.make()
    with child() as here:
        if here:
            made.enter()
            assert [name for _, name in socket.if_nameindex()] == ["lo"]
            assert Path("/proc/self/ns/net").stat().st_ino != ours
            assert capabilities.NET_ADMIN in capabilities.effective()
            assert os.geteuid() == 0
    with child() as here:  # it is there as long as its descriptors, and the same one
        if here:
            made.enter()
            assert Path("/proc/self/ns/net").stat().st_ino == os.fstat(made.net).st_ino
    assert Path("/proc/self/ns/net").stat().st_ino == ours
    made.close()


def of_root() -> None:
    assert namespace.make().user is None


def of_user() -> None:
    """Whoever else there is looks like nobody inside, never like us."""
    assert os.geteuid() != 0
    made = namespace.make()
    assert made.user is not None
    outside = os.geteuid()
    with child() as here:
        if here:
            made.enter()
            assert os.geteuid() == 0
            assert Path("/proc/self/uid_map").read_text().split() == ["0", str(outside), "1"]


def forbidden() -> None:
    """Without privilege and user namespaces there is none, and the error has the remedy."""
    with child() as here:
        if here:
            enter_user = namespace.make()
            enter_user.enter()
            # A user namespace of our own, in which no further one is allowed.
            script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
            code = (
                "from octelium.tunnel.link import capabilities, namespace\n"
                "capabilities.keep_only()\n"
                "try: namespace.make()\n"
                "except namespace.NamespaceError as error: print(error)\n"
                "else: raise SystemExit('made')\n"
            )
            python = (sys.executable, "-P", "-c")
            ended = subprocess.run(
                [
                    *["unshare", "--user", "--map-root-user", "sh", "-c"],
                    script,
                    "sh",
                    *python,
                    code,
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            assert "cannot make a private network namespace" in ended.stdout, ended
            assert "user.max_user_namespaces" in ended.stdout


def orphaned() -> None:
    """A link process says when it is ready, and is gone with whoever started it."""
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        ours = os.getpid()
        number = os.fork()
        if number == 0:
            helper.die_with_parent(ours)
            os.close(reading)
            with wire_protocol.listen(Path(folder, "link")) as listening:
                launch.spawn(listening, namespace.make(), CLUSTER, stdout=writing)
                os.close(writing)
                signal.pause()
        os.close(writing)
        said = os.read(reading, 6)
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        assert said == b"ready\n", said
        assert os.read(reading, 1) == b""  # its end is closed with the process


def other_user() -> None:
    """Another user is hung up on, even where the file's mode would let it in."""
    with link(CLUSTER) as here:
        here.path.parent.chmod(0o755)
        here.path.chmod(0o666)
        with child() as other:
            if other:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                channel.settimeout(60)
                channel.connect(str(here.path))
                assert channel.recv(10) == b""


def unusable() -> None:
    """A plan that the kernel refuses ends the process with a status that says so."""
    plan = LinkPlan(1280, tun_addresses=("ff02::1/128",))  # a multicast address is nobody's own
    with (
        tempfile.TemporaryDirectory() as folder,
        wire_protocol.listen(Path(folder, "link")) as listening,
    ):
        process = launch.spawn(listening, namespace.make(), plan)
        assert process.wait(timeout=PATIENCE) == helper.EXIT_UNUSABLE


if __name__ == "__main__":
    globals()[sys.argv[1]]()
