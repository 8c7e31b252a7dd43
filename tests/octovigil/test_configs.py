"""Which configuration an allowed request gets; what fails never gets another one."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.configs import ServiceConfigs
from octelium.policy.decision import Decision, Outcome
from octelium.schema.jsonform import to_json
from tests.octovigil.world import HTTP, SERVICE_CONFIG, World, allow, inline

ANY = {"matchAny": True}
NONE = {"matchAny": False}

BLUE = {"name": "blue", "upstream": {"url": "http://127.0.0.1:1001"}}
GREEN = {
    "name": "green",
    "parent": "default",
    "http": {"header": {"addRequestHeaders": [{"key": "x-c", "value": "green"}]}},
}
CHILD = {"name": "child", "parent": "green", "http": {"path": {"addPrefix": "/c"}}}


def ask(*rules: dict[str, Any], request: dict[str, Any] | None = None, **spec: Any) -> Decision:
    world = World()
    world.user(authorization=inline(allow()))
    dynamic = {"configs": [BLUE, GREEN, CHILD], "rules": list(rules)}
    world.service("wiki.default", dynamicConfig=dynamic, **spec)
    return world.ask(request=request)


def config_of(decision: Decision) -> dict[str, Any]:
    assert decision.allowed, decision.error
    assert decision.config is not None
    return to_json(decision.config)


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ([], "default"),
        ([{"condition": NONE, "configName": "blue"}], "default"),
        ([{"condition": ANY, "configName": "blue"}], "blue"),
        ([{"condition": ANY, "configName": "default"}], "default"),
        ([{"condition": NONE, "configName": "green"}, {"condition": ANY, "configName": "blue"}],
         "blue"),
        ([{"condition": ANY, "configName": "blue"}, {"condition": ANY, "configName": "green"}],
         "blue"),
        ([{"condition": {"match": "ctx.user.spec.type == 'HUMAN'"}, "configName": "blue"}], "blue"),
        ([{"condition": {"match": "ctx.device.x == 1"}, "configName": "blue"}], "default"),
        ([{"condition": {"match": "attrs.x == 1"}, "configName": "blue"}], "default"),
    ],
)  # fmt: skip
def test_names(rules: list[dict[str, Any]], name: str) -> None:
    decision = ask(*rules)
    assert decision.config_name == name
    assert decision.config is not None
    assert (decision.config.name or "default") == name


def test_a_named_configuration_stands_alone_or_on_its_parent() -> None:
    assert config_of(ask({"condition": ANY, "configName": "blue"})) == BLUE
    merged = config_of(ask({"condition": ANY, "configName": "green"}))
    assert merged["upstream"] == SERVICE_CONFIG["upstream"]
    assert merged["http"] == GREEN["http"]


def test_a_parent_counts_for_one_generation() -> None:
    merged = config_of(ask({"condition": ANY, "configName": "child"}))
    assert "upstream" not in merged
    assert merged["http"]["path"] == {"addPrefix": "/c"}
    assert merged["http"]["header"] == GREEN["http"]["header"]  # type: ignore[index]  # a dict


def test_a_service_without_any_configuration() -> None:
    decision = ask({"condition": NONE, "configName": "blue"}, config=None)
    assert decision.allowed
    assert decision.config is None


def test_computed_configurations() -> None:
    decision = ask(
        {
            "condition": ANY,
            "eval": "{'upstream': {'url': 'http://' + ctx.user.metadata.name + ':80'}}",
        }
    )
    assert config_of(decision) == {"upstream": {"url": "http://ann:80"}}
    assert decision.config_name == ""
    decision = ask(
        {"condition": ANY, "eval": "{'parent': 'default', 'http': {'isUpstreamHTTP2': true}}"}
    )
    assert config_of(decision)["upstream"] == SERVICE_CONFIG["upstream"]


def test_configurations_may_depend_on_the_request() -> None:
    rules = [
        {"condition": {"match": "ctx.request.http.path.startsWith('/b')"}, "configName": "blue"},
        {"condition": {"match": "ctx.request.http.path.startsWith('/e')"},
         "eval": "{'upstream': {'url': 'http://h:' + ctx.request.http.headers.port}}"},
    ]  # fmt: skip
    world = World()
    world.user(authorization=inline(allow()))
    world.service("wiki.default", dynamicConfig={"configs": [BLUE], "rules": rules})

    def at(path: str, port: str = "1") -> Decision:
        http = {**HTTP["http"], "path": path, "headers": {"port": port}}
        return world.ask(request={"http": http})

    for _ in range(2):
        assert at("/b").config_name == "blue"
        assert at("/").config_name == "default"
        assert config_of(at("/e", "81"))["upstream"]["url"] == "http://h:81"
        assert config_of(at("/e", "82"))["upstream"]["url"] == "http://h:82"
    assert at("/e", "81") is at("/e", "81")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"condition": {"match": "1 / 0 > 1"}, "configName": "blue"}, "division by zero"),
        ({"condition": {"match": "ctx."}, "configName": "blue"}, "condition"),
        ({"condition": ANY, "configName": "nope"}, "no configuration 'nope'"),
        ({"condition": ANY, "eval": "1 / 0"}, "division by zero"),
        ({"condition": ANY, "eval": "ctx.device.x"}, "device"),
        ({"condition": ANY, "eval": "ctx."}, "eval"),
        ({"condition": ANY, "eval": "'text'"}, "no map"),
        ({"condition": ANY, "eval": "{1: 2}"}, "no string"),
        ({"condition": ANY, "eval": "{'upstrem': {}}"}, "no valid configuration"),
        ({"condition": ANY, "eval": "{'upstream': {'url': 7}}"}, "no valid configuration"),
        ({"condition": ANY, "eval": "{'upstream': {'url': 'nonsense'}}"}, "no valid configuration"),
        ({"condition": ANY, "eval": "{'ssh': {}}"}, "no valid configuration"),
        ({"condition": ANY, "eval": "{'parent': 'nope'}"}, "does not exist"),
        ({"condition": ANY, "opa": "package octelium.eval"}, "no rule defines result"),
        ({"condition": ANY}, "selects nothing"),
    ],
)
def test_a_failure_refuses(rule: dict[str, Any], problem: str) -> None:
    decision = ask(rule, {"condition": ANY, "configName": "blue"})
    assert decision.outcome is Outcome.ERROR
    assert decision.config is None
    assert problem in decision.error


def test_configurations_matter_to_allowed_requests_only() -> None:
    world = World()
    broken = {"rules": [{"condition": {"match": "1 / 0 > 1"}, "configName": "x"}]}
    world.service("wiki.default", dynamicConfig=broken)
    assert world.ask().outcome is Outcome.DENIED


def test_equal_results_are_one_configuration() -> None:
    world = World()
    rules = [{"condition": ANY, "eval": "{'upstream': {'url': 'http://a:80'}}"}]
    world.service("wiki.default", dynamicConfig={"rules": rules})
    configs = ServiceConfigs(world.entry())
    from octelium.policy.cel.program import new_frame

    first = configs.select(configs.rules, new_frame({}))
    assert configs.select(configs.rules, new_frame({})) is first
