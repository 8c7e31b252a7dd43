from __future__ import annotations

from octelium.cluster import builtin
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core


def test_nobody_is_an_administrator_by_nature() -> None:
    for user in builtin.users():
        assert isinstance(user, core.User)
        assert not user.spec.HasField("authorization")


def test_built_in_objects_have_their_official_names() -> None:
    def names(messages: list[object]) -> list[str]:
        return [to_json(message)["metadata"]["name"] for message in messages]  # type: ignore[arg-type]

    assert names([*builtin.namespaces()]) == ["default", "octelium", "octelium-api"]
    assert names([*builtin.users()]) == ["root", "octelium"]
    assert names([*builtin.policies()]) == [
        "allow-all",
        "deny-all",
        "octelium-api-full-access",
        "octelium-api-read-only",
        "http-read-only",
    ]
    assert names([*builtin.services()]) == [
        "default.octelium-api",
        "auth.octelium-api",
        "default.default",
        "portal.default",
        "dns.octelium",
        "demo-nginx.default",
    ]


def test_only_what_must_be_open_is_anonymous() -> None:
    services = [to_json(service) for service in builtin.services()]
    open_to_all = [s["metadata"]["name"] for s in services if s["spec"].get("isAnonymous")]
    assert open_to_all == ["auth.octelium-api", "default.default"]


def test_the_cluster_config_tells_domain_and_ranges() -> None:
    config = builtin.cluster_config("a.example")
    assert isinstance(config, core.ClusterConfig)
    assert config.status.domain == "a.example"
    assert config.status.network.service_subnet.v4 == "100.64.0.0/16"
    region = builtin.region()
    assert isinstance(region, core.Region)
    assert region.metadata.is_system
