from __future__ import annotations

import pytest

from octelium.apiserver.core.deployment import NOT_CONFIGURED, ControllerHealth, deployment_findings
from octelium.schema.pb import core_v1_pb2 as core

HERE = ControllerHealth(is_configured=True)


def paths(made: object, controller: ControllerHealth = HERE) -> list[str]:
    return [one.path for one in deployment_findings(made, controller)]


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
    assert paths(core.User(), NOT_CONFIGURED) == []
    url = core.Service()
    url.spec.config.upstream.url = "http://a"
    assert paths(url, NOT_CONFIGURED) == []


def test_replicas_of_the_service_itself() -> None:
    made = contained()
    made.spec.deployment.replicas = 2
    assert paths(made) == ["spec.deployment.replicas"]


def test_capabilities_that_kubernetes_refuses() -> None:
    (found,) = deployment_findings(contained("NET_ADMIN", "CHOWN", "ALL"), HERE)
    assert found.path == "spec.config.upstream.container.securityContext.capabilities.add"
    assert "ALL, NET_ADMIN" in found.problem
    assert "no Pod is made of this, and what was deployed before goes on" in found.problem
    assert "CHOWN" not in found.problem
    assert "CHOWN" in found.remedy


def test_a_cluster_that_deploys_nothing() -> None:
    made = contained()
    second = made.spec.dynamic_config.configs.add(name="second")
    second.upstream.container.image = "nginx"
    made.spec.dynamic_config.configs.add(name="third").upstream.url = "http://a"
    assert paths(made) == []
    assert paths(made, NOT_CONFIGURED) == [
        "spec.config.upstream.container",
        "spec.dynamicConfig.configs[0].upstream.container",
    ]


def test_a_controller_that_is_not_connected() -> None:
    silent = ControllerHealth(is_configured=True, silent_since=1767225600.0)
    (found,) = deployment_findings(contained(), silent)
    assert found.path == "spec.config.upstream.container"
    assert "not connected since 2026-01-01 00:00:00 UTC" in found.problem
    assert "octeliumctl doctor" in found.remedy
