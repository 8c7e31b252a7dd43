"""Parts of the work, each beside a peer in the same process and thread, in CPU time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import yaml
from google.protobuf import json_format

from bench.report import Bar, Report
from bench.tools import say
from octelium.schema import json_writer
from octelium.schema.documents import parse_documents
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation import complete
from octelium.tunnel.wireguard import Limits
from octelium.tunnel.wireguard.cookies import sign
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.noise import Initiator
from octelium.tunnel.wireguard.peer import Peer
from octelium.tunnel.wireguard.primitives import tai64n
from tests.schema.services import services
from tests.schema.validation.world import World
from tests.tunnel.wireguard.worlds import WALL, Pair, key, open_all

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICES: Final = 1000
SEVERAL: Final = 100
"""Documents for the slow peer."""
STRANGERS: Final = 500
_BURSTS: Final = 10
_FORM: Final = {
    "spec": {
        "mode": "WEB",
        "config": {"upstream": {"url": "http://10.0.0.5:8080"}},
        "authorization": {"policies": ["allow-all"]},
    }
}


def run(rounds: int) -> Report:
    """What a peer does comes right before ours, so that a busy machine troubles both."""
    report = Report("Parts of the work beside a peer's, one thread, CPU time of each")
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        _documents(report)
        _validation(report)
        _writing(report)
        _cookies(report)
    for ours, theirs, limit in (
        ("a Service's YAML", "PyYAML's reader in Python", 0.5),
        ("validating a Service", "protobuf makes it of JSON", 5.0),
        ("a Service as JSON", "protobuf's own writer", 1.0),
        ("a stranger gets a cookie", "a stranger's handshake is opened", 0.5),
    ):
        ratio = report.median(ours, "time") / report.median(theirs, "time")
        report.bars.append(Bar(f"{ours}, of: {theirs}", ratio, limit, "times"))
    return report


def _cost(work: Callable[[], object], count: int) -> float:
    """Microseconds for each of `count`."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) / count * 1e6


def _documents(report: Report) -> None:
    few, many = services(SEVERAL), services(SERVICES)
    theirs = _cost(lambda: list(yaml.load_all(few, yaml.SafeLoader)), SEVERAL)
    report.add("PyYAML's reader in Python", "time", "µs", theirs)
    ours = _cost(lambda: parse_documents(many, "services.yaml"), SERVICES)
    report.add("a Service's YAML", "time", "µs", ours)


def _validation(report: Report) -> None:
    world = World()
    made: list[core.Service] = []
    forms = [{**_FORM, "metadata": {"name": f"svc{number}.prod"}} for number in range(SERVICES)]

    def validate() -> None:
        for each in made:
            world.validate(each)
            complete(each, world)

    theirs = _cost(
        lambda: made.extend(json_format.ParseDict(form, core.Service()) for form in forms), SERVICES
    )
    report.add("protobuf makes it of JSON", "time", "µs", theirs)
    report.add("validating a Service", "time", "µs", _cost(validate, SERVICES))


def _writing(report: Report) -> None:
    service: Any = json_format.ParseDict(_FORM, core.Service())
    service.metadata.name, service.status.port = "wiki.default", 80

    def times(write: Callable[[Any], object]) -> float:
        def work() -> None:
            for _ in range(SERVICES):
                write(service)

        return _cost(work, SERVICES)

    report.add("protobuf's own writer", "time", "µs", times(json_format.MessageToDict))
    report.add("a Service as JSON", "time", "µs", times(json_writer.write))


def _cookies(report: Report) -> None:
    """The dearest handshakes there are: those of strangers who know the Gateway's public key."""
    busy, idle = Pair(), Pair(limits=Limits(busy=100_000))
    batch = []
    for number in range(STRANGERS):
        handshake = Initiator(Identity(key(("stranger", number))), busy.b.public, number)
        message = sign(Peer(busy.b.public), handshake.initiate(tai64n(WALL)), 0.0)
        batch.append((message, (f"198.18.{number >> 8}.{number & 255}", 1024 + number)))

    def press(pair: Pair) -> None:
        for _ in range(_BURSTS):
            pair.now += 0.1
            pair.b.device.receive(batch, pair.now)
            open_all(pair.b, pair.now)
            pair.b.device.drain()

    press(busy)  # until it asks for cookies
    count = STRANGERS * _BURSTS
    opened = _cost(lambda: press(idle), count)
    report.add("a stranger's handshake is opened", "time", "µs", opened)
    report.add("a stranger gets a cookie", "time", "µs", _cost(lambda: press(busy), count))
    assert idle.b.device.counters.unknown_peer == count
    assert busy.b.device.counters.cookies_sent >= count
