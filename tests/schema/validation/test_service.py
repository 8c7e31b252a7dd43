from __future__ import annotations

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.service import configs_of
from tests.schema.validation.world import World, service

UP = "config: {upstream: {url: 'http://h'}}"


@pytest.mark.parametrize(
    "spec",
    [
        f"{{mode: WEB, isPublic: true, {UP}}}",
        f"{{mode: WEB, isPublic: true, isAnonymous: true, {UP}}}",
        (
            f"{{mode: GRPC, isPublic: true, isAnonymous: true, {UP}, "
            "authorization: {enableAnonymous: true, policies: [allow-all]}}"
        ),
        f"{{mode: KUBERNETES, isPublic: true, port: 443, {UP}}}",
        f"{{mode: TCP, {UP}, region: default, deployment: {{replicas: 100}}}}",
        "{mode: WEB, dynamicConfig: {configs: [{name: aa, upstream: {url: 'http://h'}}]}}",
        "{mode: WEB, dynamicConfig: {rules: [{condition: {matchAny: true}, eval: 'x'}]}}",
        (
            f"{{mode: WEB, {UP}, dynamicConfig: {{configs: [{{name: aa, parent: default}}, "
            "{name: bb, parent: aa}], rules: [{condition: {matchAny: true}, configName: bb}, "
            "{condition: {matchAny: true}, configName: default}]}}"
        ),
        (
            "{mode: RDP_WEB, config: {upstream: {url: 'rdp://h'}, "
            "rdp: {auth: {user: u, password: {fromSecret: token}}}}}"
        ),
        "{mode: SSH, config: {ssh: {eSSHMode: true}}}",
    ],
)
def test_services(world: World, spec: str) -> None:
    world.apply(service(spec))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (f"{{{UP}}}", "spec.mode"),
        ("{mode: WEB}", "spec.config"),
        (f"{{mode: TCP, isPublic: true, {UP}}}", "spec.isPublic"),
        (f"{{mode: WEB, isAnonymous: true, {UP}}}", "spec.isAnonymous"),
        (f"{{mode: KUBERNETES, port: 443, isPublic: true, isAnonymous: true, {UP}}}",
         "spec.isAnonymous"),
        (("{mode: WEB, isPublic: true, isAnonymous: true, "
          f"authorization: {{policies: [allow-all]}}, {UP}}}"),
         "spec.authorization"),
        (f"{{mode: WEB, authorization: {{enableAnonymous: true}}, {UP}}}",
         "spec.authorization.enableAnonymous"),
        (f"{{mode: WEB, region: gone, {UP}}}", "spec.region"),
        (f"{{mode: WEB, deployment: {{replicas: 101}}, {UP}}}", "spec.deployment.replicas"),
        (f"{{mode: WEB, port: 65536, {UP}}}", "spec.port"),
        (f"{{mode: WEB, port: 49094, {UP}}}", "spec.port"),
        ("{mode: WEB, config: {upstream: {url: 'http://h:49095'}}}", "spec.port"),
        ("{mode: TCP, config: {}}", "spec.port"),
        ("{mode: WEB, config: {name: other}}", "spec.config.name"),
        ("{mode: WEB, config: {name: default, parent: aa}}", "spec.config.parent"),
        ("{mode: WEB, config: {ssh: {}}}", "spec.config.ssh"),
        ("{mode: MCP, config: {http: {}}}", "spec.config.http"),
        (("{mode: WEB, dynamicConfig: {configs: [{name: aa, kubernetes: {bearerToken: "
         "{fromSecret: token}}}]}}"), "spec.dynamicConfig.configs[0].kubernetes"),
        ("{mode: WEB, dynamicConfig: {}}", "spec.dynamicConfig"),
        (("{mode: WEB, dynamicConfig: {rules: "
          "[{condition: {matchAny: true}, configName: default}]}}"),
         "spec.dynamicConfig"),
        ("{mode: WEB, dynamicConfig: {configs: [{}]}}", "spec.dynamicConfig.configs[0].name"),
        ("{mode: WEB, dynamicConfig: {configs: [{name: A}]}}",
         "spec.dynamicConfig.configs[0].name"),
        ("{mode: WEB, dynamicConfig: {configs: [{name: default}]}}",
         "spec.dynamicConfig.configs[0].name"),
        ("{mode: WEB, dynamicConfig: {configs: [{name: aa}, {name: aa}]}}",
         "spec.dynamicConfig.configs[1].name"),
        ("{mode: WEB, dynamicConfig: {configs: [{name: aa, parent: aa}]}}",
         "spec.dynamicConfig.configs[0].parent"),
        ("{mode: WEB, dynamicConfig: {configs: [{name: aa, parent: bb}]}}",
         "spec.dynamicConfig.configs[0].parent"),
        ("{mode: WEB, dynamicConfig: {configs: [{name: aa}], rules: [{configName: aa}]}}",
         "spec.dynamicConfig.rules[0].condition"),
        (("{mode: WEB, dynamicConfig: {configs: [{name: aa}], "
         "rules: [{condition: {matchAny: true}}]}}"), "spec.dynamicConfig.rules[0]"),
        (("{mode: WEB, dynamicConfig: {configs: [{name: aa}], "
         "rules: [{condition: {matchAny: true}, configName: bb}]}}"),
         "spec.dynamicConfig.rules[0].configName"),
    ],
)  # fmt: skip
def test_bad_services(world: World, spec: str, path: str) -> None:
    assert world.refusal(service(spec)).path == path


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("wiki.gone", "there is no Namespace 'gone'"),
        ("prod", "the Namespace 'prod' has the same host name"),
        ("prod.default", "the Namespace 'prod' has the same host name"),
        ("default", "the Namespace 'default' has the same host name"),
        ("a.b.c", "'a.b.c' has too many labels"),
    ],
)
def test_bad_places(world: World, name: str, problem: str) -> None:
    refused = world.refusal(service(f"{{mode: WEB, {UP}}}", name=name))
    assert (refused.path, refused.problem) == ("metadata.name", problem)


def test_good_places(world: World) -> None:
    for name in ("wiki", "wiki.default", "prod.prod", "default.prod"):
        world.apply(service(f"{{mode: WEB, {UP}}}", name=name))


def test_a_managed_service_needs_no_config(world: World) -> None:
    [portal] = world.read(service("{mode: WEB, isPublic: true}", name="portal"))
    portal.status.managed_service.type = "portal"
    world.validate(portal)


def test_configs_of_a_service() -> None:
    spec = core.ServiceSpec()
    assert list(configs_of(spec)) == []
    spec.config.name = "default"
    spec.dynamic_config.configs.add(name="aa")
    assert [(config.name, path) for config, path in configs_of(spec)] == [
        ("default", "spec.config"),
        ("aa", "spec.dynamicConfig.configs[0]"),
    ]
