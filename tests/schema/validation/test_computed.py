from __future__ import annotations

from typing import Any

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json, to_json
from octelium.schema.kinds import KINDS, new
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import complete, service_port
from tests.schema.validation.world import World, service


@pytest.mark.parametrize(
    ("spec", "port"),
    [
        ({"port": 7, "config": {"ssh": {"eSSHMode": True}}}, 7),
        ({"mode": "SSH", "config": {"ssh": {"eSSHMode": True}, "upstream": {"url": "tcp://h:9"}}},
         22),
        ({"mode": "WEB", "config": {"upstream": {"url": "http://h:8080"}}}, 8080),
        ({"mode": "WEB", "config": {"upstream": {"url": "https://h"}}}, 80),
        ({"mode": "WEB", "isTLS": True, "config": {"upstream": {"url": "https://h"}}}, 443),
        ({"mode": "TCP", "config": {"upstream": {"url": "https://h"}}}, 443),
        ({"mode": "GRPC", "config": {"upstream": {"url": "h2c://h:50051"}}}, 50051),
        ({"mode": "TCP", "config": {"upstream": {"container": {"port": 81}}}}, 81),
        ({"mode": "WEB", "dynamicConfig": {"configs": [{}, {"upstream": {"url": "tcp://h:5"}}]}},
         5),
        ({"mode": "HTTP"}, 80),
        ({"mode": "LLM", "isTLS": True}, 443),
        ({"mode": "SSH"}, 22),
        ({"mode": "DNS"}, 53),
        ({"mode": "POSTGRES"}, 5432),
        ({"mode": "MYSQL"}, 3306),
        ({"mode": "SOCKS5"}, 1080),
    ],
)  # fmt: skip
def test_ports(spec: dict[str, Any], port: int) -> None:
    assert service_port(from_json(core.Service, {"spec": spec})) == port


def test_a_managed_service_listens_at_8080() -> None:
    managed = {"spec": {"mode": "WEB"}, "status": {"managedService": {"type": "portal"}}}
    assert service_port(from_json(core.Service, managed)) == 8080


@pytest.mark.parametrize("mode", ["TCP", "UDP", "GRPC", "KUBERNETES", "RDP_WEB", "RDP"])
def test_other_modes_need_a_port(mode: str) -> None:
    with pytest.raises(Invalid) as refused:
        service_port(from_json(core.Service, {"spec": {"mode": mode}}))
    assert refused.value.path == "spec.port"


def test_services(world: World) -> None:
    text = service(
        "{mode: WEB, isPublic: true, config: {upstream: {url: 'http://h:8080', user: ci}}}"
    )
    [wiki] = world.apply(text)
    assert wiki.metadata.name == "wiki.default"
    ci: Any = world.get("User", "ci")
    assert dict(wiki.metadata.spec_labels) == {"host-user-ci": ci.metadata.uid}
    status = to_json(wiki.status)
    assert status["namespaceRef"]["name"] == "default"
    assert status["regionRef"]["kind"] == "Region"
    assert status["primaryHostname"] == "wiki"
    assert status["additionalHostnames"] == ["wiki.default"]
    assert status["port"] == 8080
    wiki.status.addresses.add().dual_stack_ip.ipv4 = "10.0.0.1"
    wiki.spec.config.upstream.user = ""
    wiki.spec.port = 81
    complete(wiki, world)
    assert dict(wiki.metadata.spec_labels) == {}
    assert wiki.status.port == 81
    assert wiki.status.additional_hostnames == ["wiki.default"]
    assert wiki.status.addresses[0].dual_stack_ip.ipv4 == "10.0.0.1"


def test_a_desktop_in_the_browser_is_a_managed_service(world: World) -> None:
    [desktop] = world.apply(
        service("{mode: RDP_WEB, port: 80, config: {upstream: {url: 'rdp://h'}}}")
    )
    assert desktop.status.managed_service.type == "wrdpgw"


def test_users(world: World) -> None:
    [corp, bob] = world.apply(
        "kind: IdentityProvider\nmetadata: {name: corp}\n"
        "spec: {github: {clientID: x, clientSecret: {fromSecret: token}}}\n"
        "---\nkind: User\nmetadata: {name: bob}\nspec: {type: HUMAN, email: b.x@acme.test, "
        "authentication: {identities: [{identityProvider: corp, identifier: 'Bob Ross'}]}}\n"
    )
    assert corp.status.type == core.IdentityProviderStatusType__.GITHUB
    labels = bob.metadata.spec_labels
    assert dict(labels) == {"email": "b-x-acme-test", "auth-corp": "bob-ross"}
    labels["other"] = "kept"
    bob.spec.email = ""
    bob.spec.ClearField("authentication")
    complete(bob, world)
    assert dict(labels) == {"other": "kept"}


def test_policies_and_credentials(world: World) -> None:
    [child, key] = world.apply(
        "kind: Policy\nmetadata: {name: eu.allow-all}\nspec: {}\n"
        "---\nkind: Credential\nmetadata: {name: key}\nspec: {type: AUTH_TOKEN, user: alice}\n"
    )
    assert child.status.parent_policy_ref.name == "allow-all"
    assert key.status.user_ref.name == "alice"
    assert key.status.user_ref.uid


def test_issuers_are_stored_in_their_canonical_form(world: World) -> None:
    [corp, workload] = world.apply(
        "kind: IdentityProvider\nmetadata: {name: corp}\nspec: {oidc: {clientID: x, "
        "clientSecret: {fromSecret: token}, issuerURL: 'HTTPS://H/'}}\n"
        "---\nkind: IdentityProvider\nmetadata: {name: workload}\n"
        "spec: {oidcIdentityToken: {issuerURL: 'https://H/x/'}}\n"
    )
    assert corp.spec.oidc.issuer_url == "https://h"
    assert corp.status.type == core.IdentityProviderStatusType__.OIDC
    assert workload.spec.oidc_identity_token.issuer_url == "https://h/x"
    assert workload.status.type == core.IdentityProviderStatusType__.OIDC_IDENTITY_TOKEN


def test_the_cluster_config_has_one_name(world: World) -> None:
    [config] = world.apply("kind: ClusterConfig\nmetadata: {name: mine}\nspec: {}\n")
    assert config.metadata.name == "default"


def test_spec_and_status_are_always_there(world: World) -> None:
    for kind in KINDS.values():
        if kind.name in {"Service", "Policy"}:
            continue
        made = new(kind)
        complete(made, world)
        assert made.HasField("spec")
        assert made.HasField("status")


def test_completing_twice_changes_nothing(world: World) -> None:
    for resource in list(world.resources.values()):
        complete(resource, world)
        before = resource.SerializeToString(deterministic=True)
        complete(resource, world)
        assert resource.SerializeToString(deterministic=True) == before
