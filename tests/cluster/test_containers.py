from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.core.deployment import ControllerHealth
from octelium.cluster.containers import SILENT, Containers, forget_all
from octelium.controller.status import ContainerEvent, ContainerStatus
from octelium.controller.wire import Report
from octelium.schema.containers import NO_CONTROLLER
from octelium.schema.pb import container_v1_pb2 as stored
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import Unavailable
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from tests.replica.samples import contained, put, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    resources = Resources(await SqliteStore.open(tmp_path / "data"), Vault([b"k" * 32]))
    await resources.load()
    yield resources
    await resources.close()


def nothing() -> tuple[()]:
    """No networks."""
    return ()


GREEN = core.ServiceSpecConfigUpstreamContainer(image="example/green", port=80)


class Now:
    """A clock that stands still."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
async def containers(resources: Resources, now: Now) -> AsyncIterator[Containers]:
    made = Containers(resources, foreign=nothing, every=0.0, clock=now)
    made.start()
    yield made
    await made.stop()


def report(*statuses: ContainerStatus, trouble: str = "") -> bytes:
    return Report(trouble, leading=True, containers=statuses).encode()


def up(uid: str, config: str = "", address: str = "10.43.0.7") -> ContainerStatus:
    event = ContainerEvent("Pod web-1", "Normal", "Started", "Started container", 1, 1700000000)
    return ContainerStatus(
        *(uid, config, address, 80),
        ready=True,
        desired=1,
        replicas=1,
        image="example/image",
        events=(event,),
    )


async def until(resources: Resources, condition: Callable[[], bool]) -> None:
    """Wait for a commit after which something is so."""
    changed = asyncio.Event()
    unsubscribe = resources.subscribe(lambda _: changed.set())
    try:
        async with asyncio.timeout(60):
            while not condition():
                await changed.wait()
                changed.clear()
    finally:
        unsubscribe()


def state(resources: Resources, uid: str) -> stored.ContainerState | None:
    return resources.find(stored.ContainerState, name=uid)


async def settled(resources: Resources, containers: Containers) -> int:
    """The revision once everything that was told so far is stored, or has been passed over."""
    (uid,) = await put(resources, contained("settling.default"))
    containers.receive(b"", report(up(uid, address="10.43.9.9")))
    await until(resources, lambda: state(resources, uid) is not None)
    async with resources.transaction() as tx:
        tx.delete("Service", uid)
    await until(resources, lambda: state(resources, uid) is None)
    return resources.revision


async def test_what_is_told_becomes_the_state_of_the_service(
    resources: Resources, containers: Containers
) -> None:
    web = contained("web.default")
    web.spec.dynamic_config.configs.add(name="green").upstream.container.CopyFrom(GREEN)
    (uid,) = await put(resources, web)
    failing = ContainerStatus(uid, "green", reason="ImagePullBackOff", message="no such image")
    containers.receive(b"", report(failing, up(uid)))
    await until(resources, lambda: state(resources, uid) is not None)
    kept = state(resources, uid)
    assert kept is not None
    assert kept.api_version == "container/v1"
    assert (kept.status.service_ref.uid, kept.status.service_ref.name) == (uid, "web.default")
    first, second = kept.status.containers
    assert (first.config, first.address, first.port, first.ready) == ("", "10.43.0.7", 80, True)
    assert (first.events[0].object, first.events[0].last_at.seconds) == ("Pod web-1", 1700000000)
    assert (second.config, second.ready, second.reason) == ("green", False, "ImagePullBackOff")
    containers.receive(b"", report(up(uid, "green", "fd00::9")))
    await until(resources, lambda: len(ready(resources, uid)) == 2)
    assert ready(resources, uid) == {"": "10.43.0.7", "green": "fd00::9"}


def ready(resources: Resources, uid: str) -> dict[str, str]:
    kept = state(resources, uid)
    if kept is None:
        return {}
    return {one.config: one.address for one in kept.status.containers if one.ready}


async def test_nothing_is_written_when_nothing_has_changed(
    resources: Resources, containers: Containers
) -> None:
    (uid,) = await put(resources, contained("web.default"))
    containers.receive(b"", report(up(uid)))
    await until(resources, lambda: state(resources, uid) is not None)
    kept = state(resources, uid)
    containers.receive(b"", report(up(uid)))
    containers.receive(b"", report())
    await settled(resources, containers)
    assert state(resources, uid) == kept


async def test_what_is_told_at_once_is_one_commit(
    resources: Resources, containers: Containers
) -> None:
    uids = await put(resources, *(contained(f"web-{number}.default") for number in range(80)))
    before = resources.revision
    for start in (0, 40):
        told = [
            up(uid, address=f"10.43.1.{number}")
            for number, uid in enumerate(uids[start : start + 40], start)
        ]
        containers.receive(b"", report(*told))
    await until(resources, lambda: all(state(resources, uid) for uid in uids))
    assert resources.revision == before + 1


async def test_the_state_goes_with_its_service_and_with_its_container(
    resources: Resources, containers: Containers
) -> None:
    web = contained("web.default")
    web.spec.dynamic_config.configs.add(name="green").upstream.container.CopyFrom(GREEN)
    uid, other = await put(resources, web, contained("api.default"))
    containers.receive(b"", report(up(uid), up(uid, "green"), up(other, address="10.43.0.8")))
    await until(resources, lambda: state(resources, uid) is not None)
    async with resources.transaction() as tx:
        changed = tx.get(core.Service, uid=uid)
        changed.spec.config.upstream.url = "http://example.com"
        tx.update(changed)
    await until(resources, lambda: set(ready(resources, uid)) == {"green"})
    async with resources.transaction() as tx:
        tx.delete("Service", uid)
        changed = tx.get(core.Service, uid=other)
        changed.spec.config.upstream.url = "http://example.com"
        tx.update(changed)
    await until(resources, lambda: not [*resources.items("ContainerState")])


async def test_what_no_service_has_is_not_believed(
    resources: Resources, containers: Containers
) -> None:
    uid, plain = await put(resources, contained("web.default"), service("plain.default"))
    containers.receive(b"", report(up("nobody"), up(plain), up(uid, "green"), up(uid)))
    await until(resources, lambda: state(resources, uid) is not None)
    assert [item.name for item in resources.items("ContainerState")] == [uid]
    assert set(ready(resources, uid)) == {""}


async def test_a_report_that_may_not_be_believed_changes_nothing(
    resources: Resources, containers: Containers, caplog: pytest.LogCaptureFixture
) -> None:
    (uid,) = await put(resources, contained("web.default"))
    before = containers.trouble()
    for bad in (
        report(up(uid, address="127.0.0.1")),
        report(up(uid)).replace(b'"port": 80', b'"port": 99999'),
        b"nonsense",
        b" " * (9 << 20),
    ):
        containers.receive(b"", bad)
    assert containers.trouble() == before
    await settled(resources, containers)
    assert state(resources, uid) is None
    assert containers.series()["octelium_controller_reports_refused_total"] == 4
    assert "127.0.0.1 is none that a Service of Kubernetes has" in caplog.text


async def test_what_is_left_of_services_that_went_meanwhile_goes_at_the_start(
    resources: Resources, now: Now
) -> None:
    orphan = stored.ContainerState()
    orphan.metadata.name = "nobody"
    await put(resources, orphan)
    containers = Containers(resources, foreign=nothing, every=0.0, clock=now)
    containers.start()
    await until(resources, lambda: not [*resources.items("ContainerState")])
    await containers.stop()


async def test_a_cluster_without_controller_forgets_all_of_it(resources: Resources) -> None:
    one, other = stored.ContainerState(), stored.ContainerState()
    one.metadata.name, other.metadata.name = "one", "other"
    await put(resources, one, other)
    await forget_all(resources)
    assert not [*resources.items("ContainerState")]
    before = resources.revision
    await forget_all(resources)
    assert resources.revision == before


async def test_what_cannot_be_stored_now_is_stored_later(
    resources: Resources, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (uid,) = await put(resources, contained("web.default"))
    await settled(resources, containers)
    usual, failed = resources.transaction, asyncio.Event()

    def failing(*_: object) -> object:
        failed.set()
        raise Unavailable("the disk is full")

    monkeypatch.setattr(resources, "transaction", failing)
    containers.receive(b"", report(up(uid)))
    async with asyncio.timeout(60):
        await failed.wait()
    monkeypatch.setattr(resources, "transaction", usual)
    await until(resources, lambda: state(resources, uid) is not None)


async def test_more_than_a_record_holds_is_cut(
    resources: Resources, containers: Containers, caplog: pytest.LogCaptureFixture
) -> None:
    many, wide = contained("web.default"), "\U0001f600"
    for number in range(900):
        config = many.spec.dynamic_config.configs.add(name=f"config-{number:03}")
        config.upstream.container.image, config.upstream.container.port = "x", 80
    (uid,) = await put(resources, many)
    told = [
        ContainerStatus(
            *(uid, f"config-{number:03}", "10.43.0.7", 80),
            ready=True,
            image=wide * 512,
            message=wide * 1024,
        )
        for number in range(900)
    ]
    for start in range(0, 300, 60):
        containers.receive(b"", report(*told[start : start + 60]))
    await until(resources, lambda: len(ready(resources, uid)) == 300)
    kept = state(resources, uid)
    assert kept is not None
    assert not any(one.message for one in kept.status.containers)
    for start in range(300, 900, 60):
        containers.receive(b"", report(*told[start : start + 60]))
    await until(resources, lambda: len(ready(resources, uid)) > 300)
    assert len(ready(resources, uid)) == 450
    assert "900 containers of a Service are too many" in caplog.text


async def test_it_tells_how_the_controller_is(
    resources: Resources, containers: Containers, now: Now, caplog: pytest.LogCaptureFixture
) -> None:
    web = contained("web.default")
    web.spec.dynamic_config.configs.add(name="green").upstream.container.CopyFrom(GREEN)
    uid, _ = await put(resources, web, service("plain.default"))
    assert containers.trouble() == "the controller is not connected, or silent"
    containers.receive(b"", report(up(uid), trouble="pods: the API server cannot be reached"))
    assert containers.trouble() == "pods: the API server cannot be reached"
    assert "pods: the API server cannot be reached" in caplog.text
    await until(resources, lambda: state(resources, uid) is not None)
    containers.receive(b"", report())
    assert containers.trouble() == ""
    series = containers.series()
    assert series == {
        "octelium_containers_wanted": 2,
        "octelium_containers_ready": 1,
        "octelium_controller_connected": 1,
        "octelium_controller_reports_refused_total": 0,
    }
    now.time += SILENT
    assert containers.trouble() == "the controller is not connected, or silent"
    assert containers.series()["octelium_controller_connected"] == 0


async def test_a_controller_that_is_lost_is_told_where_it_is_waited_for(
    resources: Resources, now: Now
) -> None:
    web = contained("web.default")
    web.spec.dynamic_config.configs.add(name="green").upstream.container.CopyFrom(GREEN)
    (uid,) = await put(resources, web)
    containers = Containers(
        resources, foreign=nothing, every=0.0, look=0.01, clock=now, now=lambda: 1767225600.0
    )
    containers.start()
    try:
        containers.receive(b"", report(up(uid)))
        await until(resources, lambda: state(resources, uid) is not None)
        assert containers.controller() == ControllerHealth(is_configured=True)
        now.time += SILENT
        assert containers.controller().silent_since == 1767225600.0
        await until(resources, lambda: "green" in reasons(resources, uid))
        # What runs goes on, and requests to it.
        assert reasons(resources, uid) == {"": "", "green": NO_CONTROLLER}
        assert ready(resources, uid) == {"": "10.43.0.7"}
        (late,) = await put(resources, contained("late.default"))
        await until(resources, lambda: reasons(resources, late) == {"": NO_CONTROLLER})
        containers.receive(b"", report())
        await until(resources, lambda: reasons(resources, late) == {"": ""})
        assert reasons(resources, uid) == {"": "", "green": ""}
    finally:
        await containers.stop()


async def test_what_fails_keeps_its_reason_without_a_controller(
    resources: Resources, now: Now
) -> None:
    (uid,) = await put(resources, contained("web.default"))
    containers = Containers(resources, foreign=nothing, every=0.0, look=0.01, clock=now)
    containers.start()
    try:
        failing = ContainerStatus(uid, "", desired=1, reason="ErrImagePull", message="no")
        containers.receive(b"", report(failing))
        await until(resources, lambda: reasons(resources, uid) == {"": "ErrImagePull"})
        now.time += SILENT
        (late,) = await put(resources, contained("late.default"))
        await until(resources, lambda: reasons(resources, late) == {"": NO_CONTROLLER})
        assert reasons(resources, uid) == {"": "ErrImagePull"}
    finally:
        await containers.stop()


def reasons(resources: Resources, uid: str) -> dict[str, str]:
    found = state(resources, uid)
    return {} if found is None else {one.config: one.reason for one in found.status.containers}


def in_place_of(resources: Resources, uid: str, *, url: str = "", port: int = 80) -> core.Service:
    """A Service as it is stored, with another upstream."""
    saved = resources.find(core.Service, uid=uid)
    assert saved is not None
    upstream = saved.spec.config.upstream
    if url:
        upstream.url = url
    else:
        upstream.container.image, upstream.container.port = "example/image", port
    return saved


async def update(resources: Resources, service: core.Service) -> None:
    async with resources.transaction() as tx:
        tx.update(service)


async def test_a_place_ends_with_its_container_and_with_its_port(resources: Resources) -> None:
    """At once, and whatever the Service asks for since: nobody knows who has the address now."""
    (uid,) = await put(resources, contained("web.default"))
    containers = Containers(resources, foreign=nothing, every=3600.0)
    containers.receive(b"", report(up(uid)))
    containers.start()
    try:
        await until(resources, lambda: ready(resources, uid) == {"": "10.43.0.7"})
        await update(resources, in_place_of(resources, uid, url="http://example.com"))
        await update(resources, in_place_of(resources, uid))
        await until(resources, lambda: state(resources, uid) is None)
    finally:
        await containers.stop()


async def test_another_port_ends_a_place_and_another_image_does_not(
    resources: Resources, containers: Containers
) -> None:
    (uid,) = await put(resources, contained("web.default"))
    containers.receive(b"", report(up(uid)))
    await until(resources, lambda: ready(resources, uid) == {"": "10.43.0.7"})
    other = in_place_of(resources, uid)
    other.spec.config.upstream.container.image = "example/other"
    await update(resources, other)
    await settled(resources, containers)
    assert ready(resources, uid) == {"": "10.43.0.7"}
    await update(resources, in_place_of(resources, uid, port=8080))
    await until(resources, lambda: ready(resources, uid) == {})
    containers.receive(b"", report(up(uid)))  # not there yet
    await until(resources, lambda: reasons(resources, uid) == {"": "Starting"})
    containers.receive(b"", report(replace(up(uid), port=8080)))
    await until(resources, lambda: ready(resources, uid) == {"": "10.43.0.7"})


async def test_what_was_told_before_a_restart_counts_while_the_port_is_the_same(
    resources: Resources, containers: Containers
) -> None:
    uid, other = await put(resources, contained("web.default"), contained("api.default"))
    containers.receive(b"", report(up(uid), up(other, address="10.43.0.8")))
    await until(resources, lambda: bool(ready(resources, other)))
    await containers.stop()
    await update(resources, in_place_of(resources, other, port=8080))
    again = Containers(resources, foreign=nothing, every=0.0)
    again.start()
    try:
        await until(resources, lambda: state(resources, other) is None)
        assert ready(resources, uid) == {"": "10.43.0.7"}
    finally:
        await again.stop()


async def test_an_address_of_others_is_not_believed(
    resources: Resources, now: Now, caplog: pytest.LogCaptureFixture
) -> None:
    networks = [ip_network("10.43.0.1"), ip_network("100.64.0.0/10"), ip_network("fd12::/48")]
    containers = Containers(resources, foreign=lambda: networks, every=0.0, clock=now)
    containers.start()
    try:
        (uid,) = await put(resources, contained("web.default"))
        for address in ("10.43.0.1", "100.64.3.4", "fd12::9"):
            containers.receive(b"", report(up(uid, address="10.43.0.7")))
            await until(resources, lambda: ready(resources, uid) == {"": "10.43.0.7"})
            containers.receive(b"", report(up(uid, address=address)))
            await until(resources, lambda: reasons(resources, uid) == {"": "Starting"})
            kept = state(resources, uid)
            assert kept is not None
            (one,) = kept.status.containers
            assert (one.address, one.port, one.ready) == ("", 0, False)
            assert one.message == f"the address {address} is not a container's"
            assert f"a container has the address {address}" in caplog.text
    finally:
        await containers.stop()


async def test_two_services_have_no_address_together(
    resources: Resources, containers: Containers
) -> None:
    uid, other = await put(resources, contained("web.default"), contained("api.default"))
    containers.receive(b"", report(up(uid)))
    await until(resources, lambda: bool(ready(resources, uid)))
    containers.receive(b"", report(up(other)))
    await until(resources, lambda: reasons(resources, other) == {"": "Starting"})
    assert ready(resources, uid) == {"": "10.43.0.7"}
    # Once the first has moved, it is the other's, as was told.
    containers.receive(b"", report(up(uid, address="10.43.0.9")))
    await until(resources, lambda: ready(resources, other) == {"": "10.43.0.7"})
    assert ready(resources, uid) == {"": "10.43.0.9"}
    # Two that move into each other's place at once.
    containers.receive(b"", report(up(uid), up(other, address="10.43.0.9")))
    await until(resources, lambda: ready(resources, uid) == {"": "10.43.0.7"})
    assert ready(resources, other) == {"": "10.43.0.9"}
    # An address that becomes free when its Service goes.
    containers.receive(b"", report(up(other)))
    await until(resources, lambda: ready(resources, other) == {})
    async with resources.transaction() as tx:
        tx.delete("Service", uid)
    await until(resources, lambda: ready(resources, other) == {"": "10.43.0.7"})


def said(status: ContainerStatus) -> bytes:
    """What a controller tells that does not lead."""
    return Report("", leading=False, containers=(status,)).encode()


async def test_only_the_controller_that_leads_tells_places(
    resources: Resources, containers: Containers
) -> None:
    uid, other = await put(resources, contained("web.default"), contained("api.default"))
    refused = replace(up(uid), reason="Refused", message="leases: forbidden")
    containers.receive(b"one", said(refused))
    await until(resources, lambda: reasons(resources, uid) == {"": "Refused"})
    assert ready(resources, uid) == {}
    containers.receive(b"one", report(up(uid)))
    await until(resources, lambda: ready(resources, uid) == {"": "10.43.0.7"})
    # Another that does not lead is not heard.
    containers.receive(b"two", said(up(uid, address="10.43.0.66")))
    containers.receive(b"two", said(replace(refused, service_uid=other)))
    await settled(resources, containers)  # by one that leads now, as the newest
    assert ready(resources, uid) == {"": "10.43.0.7"}
    assert state(resources, other) is None
    containers.receive(b"one", report(up(uid, address="10.43.0.66")))
    await settled(resources, containers)
    assert ready(resources, uid) == {"": "10.43.0.7"}
    # Nor does one that gave the Lease back replace what was told while it led.
    containers.receive(b"", said(refused))
    containers.receive(b"one", said(refused))
    containers.receive(b"two", report(up(other, address="10.43.0.8")))
    await until(resources, lambda: ready(resources, other) == {"": "10.43.0.8"})
    assert ready(resources, uid) == {"": "10.43.0.7"}
