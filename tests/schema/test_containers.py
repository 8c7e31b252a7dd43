from __future__ import annotations

from octelium.schema.containers import (
    BASELINE_CAPABILITIES,
    CAPABILITIES,
    container_secrets,
    containers_of,
    refused_capabilities,
)
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core


def test_the_containers_of_a_service_and_the_secrets_that_they_name() -> None:
    login = {"username": "u", "password": {"fromSecret": "login"}}
    env = [
        {"name": "A", "fromSecret": "aa"},
        {"name": "B", "fromSecret": "aa"},
        {"name": "C", "value": "cc"},
        {"name": "D", "kubernetesSecretRef": {"name": "dd", "key": "dd"}},
    ]
    with_all = {"image": "a", "env": env, "credentials": {"usernamePassword": login}}
    configs = [
        {"name": "url", "upstream": {"url": "http://a"}},
        {"name": "blue", "upstream": {"container": {"image": "b"}}},
    ]
    spec = from_json(
        core.ServiceSpec,
        {
            "config": {"upstream": {"container": with_all}},
            "dynamicConfig": {"configs": configs},
        },
    )
    found = dict(containers_of(spec))
    assert {name: one.image for name, one in found.items()} == {"": "a", "blue": "b"}
    assert container_secrets(found[""]) == ("aa", "login")
    assert container_secrets(found["blue"]) == ()
    assert list(containers_of(core.ServiceSpec())) == []


def test_linux_has_41_capabilities_of_which_13_may_be_added() -> None:
    assert len(CAPABILITIES) == 41
    assert len(BASELINE_CAPABILITIES) == 13
    assert not any(name.startswith("CAP_") for name in CAPABILITIES)


def test_capabilities_beyond_the_baseline_are_told() -> None:
    added = ["NET_RAW", "CHOWN", "ALL", "NET_RAW", "NET_BIND_SERVICE"]
    assert refused_capabilities(added) == ["ALL", "NET_RAW"]
    assert refused_capabilities(["CHOWN"]) == []
