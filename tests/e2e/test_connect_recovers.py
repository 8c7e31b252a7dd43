"""What a connected host notices when processes are killed, networks change, or rights end.

Hosts are network namespaces; between them and the Cluster is a router that does NAT. Times are
real, requests are begun every 40 ms, and what is measured is printed.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.conftest import SOAK
from tests.e2e.cluster import ROOT, wait_for
from tests.e2e.echoes import wait_until_bound
from tests.e2e.household import KEEPALIVE, Household, begin
from tests.e2e.test_connect import GATEWAY, ReachableCluster
from tests.peers import door
from tests.peers.calls import requests, stream
from tests.peers.namespaces import network
from tests.peers.programs import program
from tests.peers.router import Router
from tests.peers.tunnel_client import tunnel_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.cluster import Api
    from tests.e2e.test_connect import Connected

pytestmark = pytest.mark.real_time("how long people wait is measured")
SOON = 1.0
"""Seconds after which new requests are answered once nothing is in their way."""
CUT = 0.1
"""Seconds after which an open stream is cut."""
GONE = 1.0
"""Seconds after which a gateway has a peer no more."""
STALL = 0.2
"""Seconds for which a new key of the gateway may hold up a stream."""
BUSY = 3.0
"""How many times longer a machine may take that others use, too."""
SLOW = 20
"""How many times as long as the requests before it one may take beside that."""
UDP = "udp dport 53820"
LIFE = 30
"""Seconds for which a key of the gateway is used, at the least."""
ROTATIONS = 10 if SOAK else 1
ANSWERED = 3.0
"""Seconds for a request to another host, once one is gone."""
RUNS = 10 if SOAK else 2


def told(what: str, *seconds: float) -> None:
    """Print what was measured."""
    times = ", ".join(f"{each * 1000:.0f}" for each in seconds)
    print(f"\n{what}: {times} ms (median {statistics.median(seconds) * 1000:.0f})", end="")


@pytest.fixture(scope="module", params=["own", "wireguard-go"] if SOAK else ["own"])
def household(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Household]:
    if request.param == "wireguard-go":
        program("wireguard-go", "wireguard-go")
    folder = tmp_path_factory.mktemp("recovers")
    with network(folder) as made:
        names = ("host", "router", "client", "second")
        host, router, client, second = (made.namespace(name) for name in names)
        made.cable(router, "192.0.2.2/24", host, f"{GATEWAY}/24")
        for number, each in ((7, client), (8, second)):
            made.cable(each, f"192.168.{number}.2/24", router, f"192.168.{number}.1/24")
            each.ip(f"route add default via 192.168.{number}.1")
        way = Router(router, "to-host")
        way.begin()
        cluster = ReachableCluster(
            folder / "cluster",
            workers=1,
            within=host.enter,
            environment={"OCTELIUM_TUNNEL": "on", "OCTELIUM_ENGINE": request.param},
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        ticking = str(ROOT / "tests/peers/ticking.py")
        with contextlib.ExitStack() as stack:
            stack.callback(cluster.remove)
            for where, port, name in (
                (host, 8000, "host"),
                (client, 9000, "one"),
                (second, 9000, "two"),
            ):
                words = (sys.executable, ticking, str(port), name)
                stack.enter_context(where.process(*words, **quiet))
            for where, port in ((host, 8000), (client, 9000), (second, 9000)):
                wait_until_bound(where, f"tcp {port}")
            tokens = begin(cluster)
            api = stack.enter_context(door.api(host, cluster, folder))
            places = (cluster, host, router, client, folder, tokens)
            yield Household(*places, request.param, way, second, api)


@pytest.fixture(scope="module")
def alice(household: Household) -> Iterator[Connected]:
    """Alice's host, connected all the time."""
    with household.joined("alice", "--serve", "home") as running:
        yield running


# Processes


def restarted(household: Household, name: str) -> tuple[float, float]:
    """Kill a process; when that was, and when there was another one."""
    began = time.monotonic()
    old = household.cluster.kill(name)
    wait_for(lambda: household.cluster.children().get(name, old) != old, every=0.01)
    return began, time.monotonic()


KILLED = ("gateway", "worker-0", *(("link", "control") if SOAK else ()))


@pytest.mark.parametrize("name", KILLED)
def test_a_process_is_killed(household: Household, alice: Connected, name: str) -> None:
    before = household.status()["addresses"]
    web, raw = household.address("web"), household.address("raw")
    with (
        requests(household.client, web, 80) as asked,
        stream(household.client, "tcp", raw, 7) as talk,
    ):
        asked.seconds_from(time.monotonic())
        talk.told()
        bar = SOON * BUSY + SLOW * asked.usual() + 3 * household.cluster.start_of_a_program()
        began, back = restarted(household, name)
        again = asked.seconds_from(back)
        told(f"{name} killed, new requests once it is back", again)
        told(f"{name} killed, new requests", outage := back + again - began)
        assert again < bar
        if name != "worker-0":  # which carries the stream
            told(f"{name} killed, an open stream", pause := talk.goes_on())
            assert pause < resent(outage)
    household.settle()
    assert household.status()["addresses"] == before


def resent(outage: float) -> float:
    """When a kernel has sent a segment again after an outage: its pauses double (RFC 6298)."""
    return 2 * outage + SOON


# Networks


def test_the_host_has_another_address(household: Household, alice: Connected) -> None:
    seconds = []
    with (
        requests(household.client, household.address("web"), 80) as asked,
        stream(household.client, "tcp", household.address("raw"), 7) as talk,
    ):
        for old, new in ((2, 3), (3, 2)):
            asked.seconds_from(time.monotonic())
            bar = SOON * BUSY + SLOW * asked.usual()
            household.client.ip(
                f"address del 192.168.7.{old}/24 dev to-router",
                f"address add 192.168.7.{new}/24 dev to-router",
                "route replace default via 192.168.7.1",
            )
            seconds.append(asked.seconds_from(time.monotonic()))
        told("another address, new requests", *seconds)
        told("another address, an open stream", talk.goes_on())
    assert max(seconds) < bar
    household.settle()


def test_the_router_forgets_its_mappings(household: Household, alice: Connected) -> None:
    seconds = []
    with (
        requests(household.client, household.address("web"), 80) as asked,
        stream(household.client, "tcp", household.address("raw"), 7) as talk,
    ):
        for ports in ("20000-20999", "30000-30999"):
            asked.seconds_from(time.monotonic())
            bar = SOON * BUSY + SLOW * asked.usual()
            household.way.map_to(ports)
            seconds.append(asked.seconds_from(time.monotonic()))
        told("another port of the router, new requests", *seconds)
        told("another port of the router, an open stream", talk.goes_on())
    assert max(seconds) < bar
    household.settle()


def test_nothing_passes_for_a_while(household: Household, alice: Connected) -> None:
    lost = 30 if SOAK else 1
    with (
        requests(household.client, household.address("web"), 80) as asked,
        stream(household.client, "tcp", household.address("raw"), 7) as talk,
    ):
        asked.seconds_from(time.monotonic())
        talk.told()
        bar = SOON * BUSY + SLOW * asked.usual()
        with household.way.dropping(""):
            time.sleep(lost)
        back = time.monotonic()
        again = asked.seconds_from(back)
        told(f"{lost} s of loss, new requests", again)
        assert again < bar
        pause = talk.goes_on(resent(lost))
        told(f"{lost} s of loss, an open stream", pause)
        assert pause < resent(lost)
    household.settle()


def test_datagrams_are_late_doubled_and_out_of_order(
    household: Household, alice: Connected
) -> None:
    manners = {"delay": 0.01, "jitter": 0.02, "twice": 0.1, "lost": 0.01}
    with (
        household.way.relaying(UDP, f"{GATEWAY}:53820", **manners),
        requests(household.client, household.address("web"), 80) as asked,
        stream(household.client, "load", household.address("raw"), 7) as talk,
    ):
        asked.seconds_from(time.monotonic())
        most = talk.told()["bytes"] + 100_000
        longest = 0.0

        def comes() -> bool:
            nonlocal longest
            seen = talk.told()
            assert seen["ended"] is None
            longest = max(longest, seen["longest"])
            return bool(seen["bytes"] > most)

        wait_for(comes)
        told("a bad way, the longest pause of a stream", longest)
        if household.engine == "own":  # the other one does not tell
            # What passed the relay twice was taken once.
            assert counter(household, "replay") > 0
    with requests(household.client, household.address("web"), 80) as asked:
        asked.seconds_from(time.monotonic())


def counter(household: Household, event: str) -> float:
    """How often something happened to the gateway."""
    url = f"http://127.0.0.1:{household.cluster.admin}/metrics"

    def told_of() -> float:
        text = household.host.run(program("curl", "curl"), "-sS", url).stdout
        lines = [each for each in text.splitlines() if f'event="{event}"' in each]
        assert len(lines) == 1, text  # a gateway that has just begun has told nothing yet
        found = float(lines[0].split()[-1])
        assert found > 0
        return found

    return float(wait_for(told_of))


# The client itself


def test_the_client_is_killed_and_begins_again(household: Household) -> None:
    there = household.at(household.second, "second")
    with there.joined("carol") as running:
        before = there.status("carol")["addresses"]
        running.process.kill()
        running.process.wait(60)
    began = time.monotonic()
    with there.joined("carol"):
        told("the client was killed, and is connected again", time.monotonic() - began)
        assert there.status("carol")["addresses"] == before


def test_connecting_takes_no_time(household: Household) -> None:
    there = household.at(household.second, "second")
    seconds = []
    for _ in range(RUNS):
        began = time.monotonic()
        with there.joined("carol") as running:
            seconds.append(time.monotonic() - began)
            assert running.end() == 0
    told("from the command to the first answer", *seconds)
    assert statistics.median(seconds) < SOON * BUSY + 3 * household.cluster.start_of_a_program()


# Services that hosts behind the router serve


def test_the_gateway_finds_a_host_again(household: Household, alice: Connected) -> None:
    """Nobody but the gateway has something to say when the router forgets."""
    there = household.at(household.second, "second")
    with (
        there.joined("carol"),
        requests(household.second, household.address("home"), 80) as asked,
    ):
        asked.seconds_from(time.monotonic())
        bar = KEEPALIVE + SOON + SLOW * asked.usual()
        household.way.map_to("40000-40999")
        again = asked.seconds_from(time.monotonic())
        told(f"another port of the router, requests to a host (keepalive {KEEPALIVE} s)", again)
        assert again < bar
    household.settle()


@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_one_of_two_hosts_is_gone(household: Household, alice: Connected, how: str) -> None:
    there = household.at(household.second, "second")
    with (
        there.joined("alice", "--serve", "home") as running,
        requests(household.client, household.address("home"), 80) as asked,
    ):
        # One that did not answer just before is left alone for some seconds.
        wait_for(lambda: {"one", "two"} <= {each.said for each in asked.answers[-20:]})
        asked.answers.clear()

        def is_shared() -> bool:
            # Each goes to either by chance: the more there are, the nearer they come to a half.
            said = [each.said for each in asked.answers]
            return len(said) >= 40 and 0.3 < said.count("two") / len(said) < 0.7

        wait_for(is_shared, every=0.1)
        bar = ANSWERED + SLOW * asked.usual()
        began = time.monotonic()
        if how == "killed":
            running.process.kill()
        else:
            household.router.ip("link set to-second down")
        try:
            time.sleep(ANSWERED)
            wait_for(lambda: asked.answers[-1].begun > began + ANSWERED)
            after = [each for each in asked.answers if each.done > began]
            assert [each for each in after if not each.ok] == []
            told(f"a host is {how}, the slowest", slowest := max(e.done - e.begun for e in after))
            assert slowest < bar
        finally:
            household.router.ip("link set to-second up")


# Keys


ENGINES = ("own", "wireguard-go")


def test_the_gateway_has_new_keys(household: Household, alice: Connected) -> None:
    """In the long run, another host has the other engine."""

    def key() -> str:
        (gateway,) = household.api.core("ListGateway", core.ListGatewayOptions()).items
        return str(gateway.status.wireguard.public_key)

    raw = household.address("raw")
    config = household.api.core("GetClusterConfig", core.GetClusterConfigRequest())
    config.spec.gateway.wireguard_key_rotation_duration.seconds = LIFE
    with contextlib.ExitStack() as stack:
        talks = {household.engine: stack.enter_context(stream(household.client, "load", raw, 7))}
        if SOAK:
            (other,) = (each for each in ENGINES if each != household.engine)
            there = replace(household.at(household.second, "second"), engine=other)
            stack.enter_context(there.joined("carol"))
            talks[other] = stack.enter_context(stream(there.client, "load", raw, 7))
        pauses: dict[str, list[float]] = {engine: [] for engine in talks}
        quiet = dict.fromkeys(talks, 0.0)
        time.sleep(1)
        for _ in range(ROTATIONS):
            before = key()
            household.api.core("UpdateClusterConfig", config)
            recent = {engine: [0.0, talk.told()["longest"]] for engine, talk in talks.items()}
            while key() == before:
                for engine, talk in talks.items():
                    # Those of the last two looks may be of the new key already.
                    quiet[engine] = max(quiet[engine], recent[engine][0])
                    recent[engine] = [recent[engine][1], talk.told()["longest"]]
                time.sleep(0.1)
            time.sleep(1)
            for engine, talk in talks.items():
                pauses[engine].append(max(*recent[engine], talk.goes_on(patience=20)))
        config.spec.gateway.ClearField("wireguard_key_rotation_duration")
        household.api.core("UpdateClusterConfig", config)
    for engine, longest in pauses.items():
        told(f"a new key of a gateway by {household.engine}, a stream by {engine}", *longest)
        told("the longest pause without one", quiet[engine])
    for engine, longest in pauses.items():
        if SOAK:  # one rotation has no median
            assert statistics.median(longest) < STALL
        assert max(longest) < STALL * BUSY + quiet[engine]


# Rights


Loss = Literal["session", "user", "policy"]


@pytest.mark.parametrize("what", ["session", "user", "policy"])
def test_rights_end(household: Household, what: Loss) -> None:
    """Everything open is cut. The client in this test goes on as if it had not heard of it."""
    user = {"session": "carol", "user": "dave", "policy": "erin"}[what]
    prefix = "erins-" if what == "policy" else ""
    web = household.address("erins" if what == "policy" else "web")
    raw = household.address(f"{prefix}raw")
    place = (household.second, f"{GATEWAY}:{household.cluster.port}")
    authority = household.cluster.data / "ca.pem"
    with (
        tunnel_client(*place, authority, household.tokens[user]) as client,
        stream(household.second, "tcp", raw, 7) as tcp,
        stream(household.second, "http", web, 80) as http,
        stream(household.second, "ws", web, 80) as websocket,
        requests(household.second, web, 80) as asked,
    ):
        asked.seconds_from(time.monotonic())
        slow = SLOW * asked.usual()
        end = _loss(household.api, what, user, client.address)
        end()
        moment = time.monotonic()
        cuts = [each.ended_after(moment) for each in (tcp, http, websocket)]
        told(f"{what} is over, streams (TCP, HTTP, WebSocket)", *cuts)
        assert max(cuts) < CUT * BUSY + slow
        if what != "policy":
            time.sleep(GONE + CUT * BUSY + 2 * slow)
            told(f"{what} is over, last sign of the gateway", sign := asked.last_sign(moment))
            assert sign < GONE + slow


def _loss(api: Api, what: Loss, user: str, address: str) -> Callable[[], object]:
    """What takes a right away, ready to be called."""
    if what == "session":
        options = core.ListSessionOptions(user_ref=meta.ObjectReference(name=user))
        (session,) = (
            each
            for each in api.core("ListSession", options).items
            if address in str(each.status.connection)
        )
        named = meta.DeleteOptions(uid=session.metadata.uid)
        return lambda: api.core("DeleteSession", named)
    if what == "user":
        found = api.core("GetUser", meta.GetOptions(name=user))
        found.spec.is_disabled = True
        return lambda: api.core("UpdateUser", found)
    rights = api.core("GetPolicy", meta.GetOptions(name="erin-may"))
    rights.spec.is_disabled = True
    return lambda: api.core("UpdatePolicy", rights)
