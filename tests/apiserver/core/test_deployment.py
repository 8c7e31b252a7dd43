from __future__ import annotations

import pytest

from octelium.apiserver.core.deployment import deployment_findings
from octelium.schema.pb import core_v1_pb2 as core


def paths(made: object, *, has_controller: bool = True) -> list[str]:
    return [one.path for one in deployment_findings(made, has_controller=has_controller)]


def contained(*capabilities: str) -> core.Service:
    made = core.Service()
    container = made.spec.config.upstream.container
    container.image, container.port = "nginx", 80
    container.security_context.capabilities.add.extend(capabilities)
    return made


@pytest.mark.parametrize("replicas", [0, 1])
def test_nothing_to_say(replicas: int) -> None:
    made = contained("NET_BIND_SERVICE", "CHOWN")
    made.spec.deployment.replicas = replicas
    assert paths(made) == []
    assert paths(core.User(), has_controller=False) == []
    url = core.Service()
    url.spec.config.upstream.url = "http://a"
    assert paths(url, has_controller=False) == []


def test_replicas_of_the_service_itself() -> None:
    made = contained()
    made.spec.deployment.replicas = 2
    assert paths(made) == ["spec.deployment.replicas"]


def test_capabilities_that_kubernetes_refuses() -> None:
    (found,) = deployment_findings(contained("NET_ADMIN", "CHOWN", "ALL"), has_controller=True)
    assert found.path == "spec.config.upstream.container.securityContext.capabilities.add"
    assert "ALL, NET_ADMIN" in found.problem
    assert "CHOWN" not in found.problem
    assert "CHOWN" in found.remedy


def test_a_cluster_that_deploys_nothing() -> None:
    made = contained()
    second = made.spec.dynamic_config.configs.add(name="second")
    second.upstream.container.image = "nginx"
    made.spec.dynamic_config.configs.add(name="third").upstream.url = "http://a"
    assert paths(made) == []
    assert paths(made, has_controller=False) == [
        "spec.config.upstream.container",
        "spec.dynamicConfig.configs[0].upstream.container",
    ]
