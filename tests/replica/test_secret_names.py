from __future__ import annotations

import pytest
from google.protobuf.struct_pb2 import Struct

from octelium.replica.secret_names import container_secret_names, secret_names
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core


def test_every_from_secret_of_the_schema_is_found() -> None:
    spec = {
        "config": {
            "clientCertificate": {"fromSecret": "legacy-cert"},
            "upstream": {
                "container": {
                    "env": [{"name": "X", "fromSecret": "env-secret"}],
                    "credentials": {"usernamePassword": {"password": {"fromSecret": "registry"}}},
                }
            },
            "tls": {"clientCertificate": {"fromSecret": "client-cert"}},
            "http": {"auth": {"basic": {"password": {"fromSecret": "basic"}}}},
        },
        "dynamicConfig": {
            "configs": [
                {"name": "k8s", "kubernetes": {"kubeconfig": {"fromSecret": "kubeconfig"}}},
                {"name": "pg", "postgres": {"auth": {"password": {"fromSecret": "postgres"}}}},
                {"name": "green", "upstream": {"container": {"env": [{"fromSecret": "green"}]}}},
            ]
        },
    }
    service = from_json(core.Service, {"spec": spec})
    assert secret_names(service) == {
        *("legacy-cert", "client-cert", "basic", "kubeconfig", "postgres"),
    }
    assert container_secret_names(service) == {"env-secret", "registry", "green"}


def test_a_service_without_secrets_names_none() -> None:
    service = core.Service()
    service.spec.config.upstream.url = "https://fromSecret.example.com"
    service.metadata.labels["from-secret"] = "key"
    assert secret_names(service) == frozenset()
    assert container_secret_names(service) == frozenset()


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("eval", '{"http": {"auth": {"bearer": {"fromSecret": "by-rule"}}}}'),
        ("eval", "ctx.user.metadata.name == 'x' ? {'fromSecret': 'by-rule'} : {}"),
        ("opa", "package octelium.eval\nresult := {`fromSecret`: `by-rule`}"),
    ],
)
def test_a_rule_that_computes_names_every_literal(member: str, text: str) -> None:
    service = core.Service()
    setattr(service.spec.dynamic_config.rules.add(), member, text)
    assert "by-rule" in secret_names(service)


def test_a_rule_cannot_name_a_secret_of_the_system() -> None:
    service = core.Service()
    service.spec.dynamic_config.rules.add().eval = '{"fromSecret": "sys:aes256-key-abcdefgh"}'
    assert "sys:aes256-key-abcdefgh" not in secret_names(service)


def test_settings_in_attributes_count_at_any_depth() -> None:
    service = core.Service()
    attrs = Struct()
    attrs.update(
        {"octelium": {"login": [{"fromSecret": "deep"}, {"other": "no"}]}, "fromSecret": 7}
    )
    service.spec.attrs.CopyFrom(attrs)
    assert secret_names(service) == {"deep"}
