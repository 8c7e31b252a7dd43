from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.apiserver.core.deployment import NOT_CONFIGURED, ControllerHealth
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.apiserver.harness import resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def contained(name: str = "wiki.default") -> core.Service:
    made: core.Service = resource("Service", name)
    made.spec.config.upstream.container.image = "nginx:1"
    made.spec.config.upstream.container.port = 80
    return made


async def listed(api: Harness, service: str = "wiki") -> ext.ListContainersResponse:
    request = ext.ListContainersRequest(service=service)
    reply: ext.ListContainersResponse = await api.ext("ListContainers", request)
    return reply


async def told(api: Harness, *containers: container.Container, name: str = "wiki.default") -> None:
    service = api.resources.find(core.Service, name=name)
    assert service is not None
    state = container.ContainerState()
    state.metadata.name = service.metadata.uid
    state.status.service_ref.uid = service.metadata.uid
    state.status.containers.extend(containers)
    async with api.resources.transaction() as tx:
        tx.create(state)


async def test_what_the_controller_told(api: Harness) -> None:
    await api.store(contained())
    event = container.ContainerEvent(type="Warning", reason="Failed", message="no", count=3)
    one = container.Container(
        address="10.43.0.9", port=80, ready=True, desired=2, replicas=2, ready_replicas=1,
        image="nginx:1", restarts=4, reason="Starting", message="m", events=[event],
    )  # fmt: skip
    await told(api, one)
    reply = await listed(api)
    (item,) = reply.items
    assert item.service.name == "wiki.default"
    assert list(item.containers) == [one]
    assert reply.has_controller
    assert not reply.HasField("silent_since")
    assert api.decided == ["GetService"]
    assert (await listed(api, "wiki.default")).items == reply.items


async def test_what_nothing_was_told_of_yet_and_what_is_asked_for_no_more(api: Harness) -> None:
    made = contained()
    second = made.spec.dynamic_config.configs.add(name="second")
    second.upstream.container.image = "nginx:2"
    second.upstream.container.replicas = 3
    made.spec.dynamic_config.configs.add(name="third").upstream.url = "http://a"
    await api.store(made)
    told_of = [container.Container(config="second", ready=True), container.Container(config="old")]
    await told(api, *told_of)
    (item,) = (await listed(api)).items
    assert list(item.containers) == [
        container.Container(desired=1, image="nginx:1"),
        container.Container(config="second", ready=True),
    ]


async def test_those_of_all_services(api: Harness) -> None:
    plain, hidden = resource("Service", "aaa.default"), contained("car.default")
    hidden.metadata.is_system_hidden = True
    await api.store(contained("zoo.default"), contained("bar.default"), plain, hidden)
    reply = await listed(api, "")
    assert [item.service.name for item in reply.items] == ["bar.default", "zoo.default"]
    assert api.decided == ["ListService"]
    assert not (await listed(api, "aaa")).items


async def test_who_may_not_get_the_service_is_told_nothing(api: Harness) -> None:
    await api.store(contained())
    for name, right in (("wiki", "GetService"), ("nothing", "GetService"), ("", "ListService")):
        api.denied = {right}
        request = ext.ListContainersRequest(service=name)
        code, text = await api.ext_refused("ListContainers", request)
        assert (code, right in text) == ("PERMISSION_DENIED", True)
    api.denied = set()
    code, _ = await api.ext_refused(
        "ListContainers", ext.ListContainersRequest(service="wiki"), session=core.Session()
    )
    assert code == "UNAUTHENTICATED"


async def test_names_that_no_service_has(api: Harness) -> None:
    await api.store(contained("hidden.default"))
    for name, expected in (
        ("nothing", "NOT_FOUND"),
        ("a.b.c", "INVALID_ARGUMENT"),
        ("sys:x", "PERMISSION_DENIED"),
    ):
        request = ext.ListContainersRequest(service=name)
        code, _ = await api.ext_refused("ListContainers", request)
        assert code == expected, name


async def test_a_controller_that_is_not_heard(api: Harness) -> None:
    await api.store(contained())
    api.controller = ControllerHealth(is_configured=True, silent_since=1767225600.5)
    reply = await listed(api)
    assert (reply.has_controller, reply.silent_since.seconds) == (True, 1767225600)
    api.controller = NOT_CONFIGURED
    reply = await listed(api)
    assert (reply.has_controller, reply.HasField("silent_since")) == (False, False)
