from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.containers import Containers
from octelium.vigil.errors import Absence, NotReady, Unserviceable
from tests.vigil.world import MODES, Feed, contained, containers

if TYPE_CHECKING:
    from google.protobuf.message import Message

UID = "uid-wiki.default"


def known(*messages: Message, is_managed: bool = True) -> Containers:
    made = Feed()
    made.put(*messages)
    return Containers(made.replica, is_managed=is_managed)


def url(here: Containers, made: core.Service, config: core.ServiceSpecConfig | None = None) -> str:
    return here.url(made, made.spec.config if config is None else config)


@pytest.mark.parametrize(
    ("mode", "scheme", "secured"),
    [
        (MODES.HTTP, "http", "https"),
        (MODES.WEB, "http", "https"),
        (MODES.GRPC, "http", "https"),
        (MODES.TCP, "tcp", "tcp"),
        (MODES.UDP, "udp", "udp"),
        (MODES.DNS, "udp", "udp"),
    ],
)
def test_urls_by_mode(mode: int, scheme: str, secured: str) -> None:
    made = contained(mode=mode)
    here = known(containers(own=("10.43.0.9", 80)))
    assert url(here, made) == f"{scheme}://10.43.0.9:80"
    made.spec.config.tls.insecure_skip_verify = True
    assert url(here, made) == f"{secured}://10.43.0.9:80"
    made = contained(mode=mode)
    made.spec.config.client_certificate.from_secret = "c"
    assert url(here, made).startswith(secured)


def test_an_ipv6_address() -> None:
    assert url(known(containers(own=("fd00::9", 80))), contained()) == "http://[fd00::9]:80"


@pytest.mark.parametrize(
    ("reason", "absence", "told"),
    [
        ("", Absence.STARTING, ""),
        ("Starting", Absence.STARTING, ""),
        ("NoController", Absence.ABANDONED, ""),
        ("CrashLoopBackOff", Absence.FAILING, "CrashLoopBackOff"),
        ("<script>", Absence.FAILING, ""),
        ("two words", Absence.FAILING, ""),
        ("A" * 64, Absence.FAILING, ""),
    ],
)
def test_a_container_that_is_not_ready(reason: str, absence: Absence, told: str) -> None:
    with pytest.raises(NotReady) as caught:
        url(known(containers(own=reason)), contained())
    assert (caught.value.absence, caught.value.reason) == (absence, told)


def test_nothing_is_sent_to_an_address_that_is_not_ready() -> None:
    state = containers(own=("10.43.0.9", 80))
    state.status.containers[0].ready = False
    with pytest.raises(NotReady):
        url(known(state), contained())
    state.status.containers[0].ready = True
    state.status.containers[0].address = ""
    with pytest.raises(NotReady):
        url(known(state), contained())


def test_a_container_of_which_nothing_is_known() -> None:
    for here, absence in (
        (known(), Absence.STARTING),
        (known(is_managed=False), Absence.UNMANAGED),
        (known(containers(name="other.default", own=("10.43.0.9", 80))), Absence.STARTING),
        (known(containers(second=("10.43.0.9", 80))), Absence.STARTING),
    ):
        with pytest.raises(NotReady) as caught:
            url(here, contained())
        assert caught.value.absence is absence


def test_what_is_ready_is_used_without_a_controller_too() -> None:
    """The setting may be off for a moment while a Pod is replaced; the container runs on."""
    here = known(containers(own=("10.43.0.9", 80)), is_managed=False)
    assert url(here, contained()) == "http://10.43.0.9:80"


def dynamic() -> tuple[core.Service, dict[str, core.ServiceSpecConfig]]:
    made = contained()
    add = made.spec.dynamic_config.configs.add
    second = add(name="second")
    second.upstream.container.image = "example.com/wiki:2"
    second.upstream.container.port = 81
    heir = add(name="heir", parent="default")
    over = add(name="over", parent="second")
    over.upstream.container.image = "example.com/wiki:3"
    over.upstream.container.port = 82
    over.upstream.container.args.append("x")
    found = {"own": made.spec.config, "second": second, "heir": heir, "over": over}
    for name, parent in (("heir", "own"), ("over", "second")):
        merged = core.ServiceSpecConfig()
        merged.CopyFrom(found[parent])
        merged.MergeFrom(found[name])
        found[name] = merged
    return made, found


def test_each_configuration_has_its_own_container_or_its_parents() -> None:
    made, configs = dynamic()
    here = known(
        containers(own=("10.0.0.1", 1), second=("10.0.0.2", 2), over=("10.0.0.3", 3)), made
    )
    assert {name: url(here, made, config)[-1] for name, config in configs.items()} == {
        "own": "1",
        "second": "2",
        "heir": "1",
        "over": "3",
    }
    named = core.ServiceSpecConfig()
    named.CopyFrom(made.spec.config)
    named.name = "default"
    assert url(here, made, named).endswith(":1")


def test_a_computed_configuration_has_declared_containers_alone() -> None:
    made, _ = dynamic()
    here = known(
        containers(own=("10.0.0.1", 1), second=("10.0.0.2", 2), over=("10.0.0.3", 3)), made
    )
    computed = core.ServiceSpecConfig()
    computed.upstream.container.CopyFrom(made.spec.dynamic_config.configs[0].upstream.container)
    assert url(here, made, computed).endswith(":2")
    for name in ("", "second", "default", "none"):
        computed.name = name
        computed.upstream.container.image = "example.com/evil:1"
        with pytest.raises(Unserviceable, match="computed") as caught:
            url(here, made, computed)
        assert not isinstance(caught.value, NotReady)


def test_what_has_moved() -> None:
    feed = Feed()
    feed.put(containers(own=("10.0.0.1", 1), second=("10.0.0.2", 2)))
    here = Containers(feed.replica, is_managed=True)
    assert here.moved() == {}
    assert here.ready() == {(UID, ("10.0.0.1", 1)), (UID, ("10.0.0.2", 2))}
    feed.put(containers(own="Starting", second=("10.0.0.3", 2)))
    assert here.moved() == {UID: {("10.0.0.1", 1), ("10.0.0.2", 2)}}
    assert here.ready() == {(UID, ("10.0.0.3", 2))}
    feed.put(containers(own="CrashLoopBackOff", second=("10.0.0.3", 2)))
    assert here.moved() == {UID: set()}
    feed.put(containers(name="other.default", own=("10.0.0.9", 9)))
    assert here.moved() == {"uid-other.default": set()}
    feed.delete(containers())
    assert here.moved() == {UID: {("127.0.0.1", 1), ("10.0.0.3", 2)}}
    assert here.ready() == {("uid-other.default", ("10.0.0.9", 9))}
