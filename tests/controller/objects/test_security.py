from __future__ import annotations

import pytest

from octelium.controller.objects.security import container_security, pod_security
from tests.controller.objects.samples import managed


def test_the_pod() -> None:
    assert pod_security() == {
        "seccompProfile": {"type": "RuntimeDefault"},
        "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
    }


def test_a_container_that_says_nothing() -> None:
    assert container_security(managed({}).container) == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": False,
        "capabilities": {"drop": ["MKNOD", "NET_RAW"]},
    }


def test_user_and_root() -> None:
    given = {"securityContext": {"runAsUser": 1000, "readOnlyRootFilesystem": True}}
    made = container_security(managed(given).container)
    assert made["runAsUser"] == 1000
    assert made["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(
    ("added", "dropped", "made"),
    [
        ([], ["ALL"], {"drop": ["ALL"]}),
        ([], ["KILL", "ALL", "KILL"], {"drop": ["ALL"]}),
        ([], ["KILL", "KILL"], {"drop": ["KILL", "MKNOD", "NET_RAW"]}),
        ([], ["NET_RAW"], {"drop": ["NET_RAW", "MKNOD"]}),
        (["MKNOD", "MKNOD"], [], {"add": ["MKNOD"], "drop": ["NET_RAW"]}),
        (["CHOWN"], ["ALL"], {"add": ["CHOWN"], "drop": ["ALL"]}),
    ],
)
def test_capabilities(added: list[str], dropped: list[str], made: dict[str, list[str]]) -> None:
    given = {"securityContext": {"capabilities": {"add": added, "drop": dropped}}}
    assert container_security(managed(given).container)["capabilities"] == made
