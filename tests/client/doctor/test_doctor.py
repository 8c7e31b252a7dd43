"""Whole examinations, against the stand-in for a Cluster."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.client import Client
from octelium.client.doctor import doctor as module
from octelium.client.doctor import front_door, service, tunnel
from octelium.client.doctor.checks import Broken
from octelium.client.doctor.doctor import NAMES, Doctor
from octelium.client.settings import Flags
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.doctor.test_tunnel import status
from tests.client.standin import NOW, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from octelium.client.doctor.checks import Examination
    from tests.client.standin import Authority

MOMENT = dt.datetime.fromtimestamp(NOW, dt.UTC)


@dataclass
class World:
    """A host, and what of its surroundings is broken."""

    cluster: StandIn
    folder: Path
    broken: dict[str, Broken] = field(default_factory=dict)
    connection: dict[str, Any] | None = None
    environ: dict[str, str] = field(default_factory=dict)
    time: dt.datetime | Exception = MOMENT
    asked: list[str] = field(default_factory=list)

    def examined(self, name: str = "", **flags: str) -> Examination:
        environ = {**self.cluster.environ(self.folder), **self.environ}
        client = Client(
            Flags(**flags), environ, warn=self.asked.append, clock=lambda: NOW, sleep=lambda _: None
        )
        try:
            doctor = Doctor(client, lambda: self.connection, name, clock=lambda: MOMENT)
            found = doctor.examine()
        finally:
            client.close()
        names = [each.name for each in found.checks]
        assert names == [name for name in NAMES if name in names]
        assert set(names) == set(NAMES)
        for each in found.checks:
            if each.outcome in ("warn", "fail"):
                assert each.remedy, each
        return found

    def answer(self, name: str, value: Any) -> Any:
        def answer(*_: Any, **__: Any) -> Any:
            self.asked.append(name)
            if name in self.broken:
                raise self.broken[name]
            return value

        return answer


@pytest.fixture
def world(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    cluster = StandIn(authority).start()
    reply = ext.CheckConnectionResponse(has_gateway=True, is_connected=True)
    reply.session_ends_at.FromSeconds(int(NOW) + 86_400)
    cluster.insight["CheckConnection"] = reply
    made = World(cluster, tmp_path)

    def told(*_: Any, **__: Any) -> Any:
        if isinstance(made.time, Exception):
            raise made.time
        return made.time, MOMENT

    monkeypatch.setattr(front_door, "cluster_time", told)
    for place, name, value in (
        (front_door, "addresses", ["127.0.0.1"]),
        (front_door, "reach", "127.0.0.1"),
        (front_door, "certificate", "tomorrow"),
        (tunnel, "own_way", "octelium-abc"),
        (tunnel, "carries", "the gateway answers"),
        (tunnel, "large_packets", "packets of 1280 bytes arrive"),
        (tunnel, "cluster_name", ["100.64.0.9"]),
        (tunnel, "host_name", "it is found"),
        (tunnel, "leftover", ""),
        (service, "connect", "100.64.0.9"),
        (service, "request", "GET / is answered with 200"),
        (service, "talk", "a connection is taken, and stays"),
    ):
        monkeypatch.setattr(place, name, made.answer(name, value))
    yield made
    cluster.stop()


def wiki(world: World, mode: int = user.ServiceSpecType__.HTTP, *, is_public: bool = False) -> None:
    """There is a Service `wiki`."""
    made = core.Service()
    made.metadata.name = "wiki.default"
    made.spec.port = 80
    made.spec.mode = core.ServiceSpecMode__.HTTP
    stored = world.cluster.add(made)
    answer = world.cluster._user

    def answered(method: str, request: Any) -> Any:
        reply = answer(method, request)
        if method == "GetService":
            reply.spec.port, reply.spec.type, reply.spec.is_public = 80, mode, is_public
            reply.status.addresses.append("100.64.0.9")
        return reply

    world.cluster._user = answered  # type: ignore[method-assign]  # as a real Cluster answers
    assert stored.metadata.name == "wiki.default"


def outcome(found: Examination, name: str) -> str:
    (check,) = (each for each in found.checks if each.name == name)
    return check.outcome


def test_a_host_that_is_not_connected(world: World) -> None:
    found = world.examined()
    assert found.broken is None
    assert outcome(found, "dns") == "skipped"
    for name in ("login", "front door", "clock", "certificate", "session", "gateway"):
        assert outcome(found, name) == "ok"
    for name in ("connection", "routes", "udp", "packet size", "private dns", "service"):
        assert outcome(found, name) == "skipped"
    assert "own_way" not in world.asked


@pytest.mark.parametrize(
    ("mode", "is_public", "expected"),
    [
        ("HTTP", True, "ok"),
        ("WEB", True, "ok"),
        ("HTTP", False, "skipped"),
        ("TCP", True, "skipped"),
    ],
)
def test_a_public_service_is_asked_without_a_tunnel(
    world: World, mode: str, is_public: bool, expected: str
) -> None:
    wiki(world, getattr(user.ServiceSpecType__, mode), is_public=is_public)
    found = world.examined("wiki")
    assert (outcome(found, "service"), outcome(found, "udp")) == (expected, "skipped")
    assert ("request" in world.asked) == (expected == "ok")
    if expected == "ok":
        assert found.verdict() == "Everything that was checked works."
        world.broken["request"] = Broken("its upstream does not answer", "start it")
        broken = world.examined("wiki").broken
        assert broken is not None
        assert broken.detail == "its upstream does not answer"


def test_a_service_that_does_not_exist_is_told_without_a_tunnel(world: World) -> None:
    broken = world.examined("wiki").broken
    assert broken is not None
    assert broken.detail == "there is no Service wiki.default"


def test_a_host_that_is_connected(world: World) -> None:
    wiki(world)
    world.connection = status()
    found = world.examined("wiki")
    assert found.broken is None
    assert {each.name for each in found.unchecked} == {"dns"}
    assert world.asked[-2:] == ["connect", "request"]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("reach", "front door"),
        ("certificate", "certificate"),
        ("own_way", "routes"),
        ("carries", "udp"),
        ("large_packets", "packet size"),
        ("cluster_name", "private dns"),
        ("host_name", "resolver"),
        ("connect", "service"),
        ("request", "service"),
    ],
)
def test_each_broken_link_is_named(world: World, call: str, name: str) -> None:
    wiki(world)
    world.connection = status()
    world.broken[call] = Broken("it is broken", "mend it")
    found = world.examined("wiki")
    assert found.broken is not None
    assert (found.broken.name, found.broken.detail) == (name, "it is broken")
    assert found.verdict().endswith(f"{name}: it is broken. To do: mend it.")


def test_the_name_of_the_front_door(world: World) -> None:
    world.broken["addresses"] = Broken("the name is not found", "make records")
    found = world.examined(endpoint="gate.example:443")
    assert found.broken is not None
    assert found.broken.name == "dns"
    for name in ("front door", "clock", "certificate", "session", "gateway"):
        assert outcome(found, name) == "skipped"
    assert not world.cluster.calls


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "ok"), (-59, "ok"), (61, "warn"), (-400, "fail"), (400, "fail")]
)
def test_clocks(world: World, seconds: int, expected: str) -> None:
    world.time = MOMENT + dt.timedelta(seconds=seconds)
    found = world.examined()
    assert outcome(found, "clock") == expected
    if expected == "fail":
        assert found.broken is not None
        assert ("behind" if seconds > 0 else "ahead") in found.broken.detail


def test_a_clock_that_is_not_told(world: World) -> None:
    world.time = ValueError("the front door's answer has no date")
    assert outcome(world.examined(), "clock") == "skipped"


def test_nobody_is_logged_in(world: World) -> None:
    world.environ = {"OCTELIUM_AUTH_TOKEN": ""}
    found = world.examined()
    assert found.broken is not None
    assert found.broken.name == "login"
    assert found.broken.remedy == "octelium login --domain lab.test"
    assert outcome(found, "certificate") == "ok"
    assert not world.cluster.calls


def test_a_session_that_was_ended(world: World) -> None:
    world.examined()
    world.cluster.alive = False
    world.environ = {"OCTELIUM_AUTH_TOKEN": ""}
    found = world.examined()
    assert found.broken is not None
    assert found.broken.name == "session"
    assert found.broken.remedy == "octelium login --domain lab.test"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("UNAUTHENTICATED", "not taken any more"),
        ("PERMISSION_DENIED", "Policies do not let"),
        ("INTERNAL", "does not answer"),
    ],
)
def test_calls_that_are_refused(world: World, code: str, words: str) -> None:
    world.cluster.failures["GetStatus"] = [RefusedError(code, "no")] * 4
    found = world.examined()
    assert found.broken is not None
    assert found.broken.name == "session"
    assert words in found.broken.detail


def test_a_session_that_ends_soon(world: World) -> None:
    world.cluster.insight["CheckConnection"].session_ends_at.FromSeconds(int(NOW) + 60)
    assert outcome(world.examined(), "session") == "warn"


def test_a_cluster_of_another_make(world: World) -> None:
    world.cluster.foreign = True
    found = world.examined()
    assert (outcome(found, "session"), outcome(found, "gateway")) == ("ok", "skipped")
    assert found.broken is None


def test_a_cluster_without_tunnels(world: World) -> None:
    world.cluster.insight["CheckConnection"].has_gateway = False
    assert outcome(world.examined(), "gateway") == "skipped"


def test_a_gateway_in_trouble_comes_before_what_follows_from_it(world: World) -> None:
    world.cluster.insight["CheckConnection"].trouble = "the gateway is silent"
    world.connection = status()
    world.broken["carries"] = Broken("nothing comes back", "let UDP pass")
    found = world.examined()
    assert found.broken is not None
    assert (found.broken.name, found.broken.detail) == (
        "gateway", "the Cluster says: the gateway is silent"
    )  # fmt: skip
    assert outcome(found, "udp") == "fail"


def test_a_gateway_that_falls_silent_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connection = status()

    def silent(*_: Any) -> str:
        world.cluster.insight["CheckConnection"].trouble = "the gateway is silent"
        raise Broken("nothing comes back", "let UDP pass")

    monkeypatch.setattr(tunnel, "carries", silent)
    found = world.examined()
    assert found.broken is not None
    assert found.broken.name == "gateway"


def test_a_tunnel_of_the_connections_own(world: World) -> None:
    wiki(world)
    world.connection = status(network="a private network of this process")
    found = world.examined("wiki")
    assert found.broken is None
    for name in ("routes", "packet size", "private dns", "resolver"):
        assert outcome(found, name) == "skipped"
    assert outcome(found, "service") == "ok"
    world.connection["published"] = []
    found = world.examined("wiki")
    assert outcome(found, "service") == "skipped"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("TCP", "talk"), ("POSTGRES", "talk"), ("UDP", ""), ("DNS", ""), ("WEB", "request")],
)
def test_services_of_each_mode(world: World, mode: str, expected: str) -> None:
    wiki(world, user.ServiceSpecType__.ServiceSpecType.Value(mode))
    world.connection = status()
    found = world.examined("wiki")
    assert outcome(found, "service") == ("ok" if expected else "skipped")
    assert {"talk", "request"} & set(world.asked) == ({expected} if expected else set())


@pytest.mark.parametrize(("mode", "call"), [("SSH", "talk"), ("KUBERNETES", "request")])
def test_a_mode_that_is_not_served_is_nobodys_fault(world: World, mode: str, call: str) -> None:
    wiki(world, user.ServiceSpecType__.ServiceSpecType.Value(mode))
    world.connection = status()
    world.broken[call] = Broken("no connection to wiki: refused", "ask about its workers")
    found = world.examined("wiki")
    assert found.broken is not None
    assert found.broken.detail == (
        f"wiki.default is of mode {mode}, which Clusters of this version keep but do not serve "
        "(served are DNS, GRPC, HTTP, TCP, UDP and WEB): no connection to wiki: refused"
    )
    assert found.broken.remedy.startswith("nothing is wrong with this host or the tunnel")
    world.connection = status(network="a private network of this process")
    world.connection["published"] = []
    skipped = next(each for each in world.examined("wiki").checks if each.name == "service")
    assert skipped.outcome == "skipped"
    assert f"of mode {mode}" in skipped.detail
    assert "connect -p" not in skipped.remedy


def test_a_service_that_does_not_exist(world: World) -> None:
    world.connection = status()
    found = world.examined("nothing")
    assert found.broken is not None
    assert found.broken.detail == "there is no Service nothing.default"


@pytest.mark.parametrize(
    ("state", "expected"), [("connected", "ok"), ("away", "warn"), ("joining", "warn")]
)
def test_states_of_a_connection(world: World, state: str, expected: str) -> None:
    world.connection = status(state=state)
    assert outcome(world.examined(), "connection") == expected


def test_a_connection_without_a_tunnel(world: World) -> None:
    world.connection = {"state": "joining", "trouble": "no answer"}
    found = world.examined()
    assert outcome(found, "udp") == "skipped"
    assert "own_way" not in world.asked


def test_what_a_former_connection_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "leftover", lambda: "resolv.conf is still ours")
    found = world.examined()
    assert found.broken is not None
    assert found.broken.name == "resolver"

    def fail() -> str:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(tunnel, "leftover", fail)
    assert outcome(world.examined(), "resolver") == "skipped"


def test_names_that_are_not_looked_up(world: World) -> None:
    world.connection = status(
        dns={"servers": ["127.0.0.1"], "changed": False, "names": "as before"}
    )
    assert outcome(world.examined(), "resolver") == "skipped"
    world.connection = status(dns={"servers": []})
    assert outcome(world.examined(), "private dns") == "skipped"


def test_a_certificate_that_is_not_verified(world: World) -> None:
    world.environ = {"OCTELIUM_INSECURE_TLS": "true"}
    assert outcome(world.examined(), "certificate") == "warn"
    assert module.NAMES[4] == "certificate"
