"""Which configuration an allowed request gets."""

from __future__ import annotations

from typing import Any

from octelium.octovigil.explain.configuration import choose
from octelium.octovigil.explain.evaluation import ERROR, TRUE, UNKNOWN
from octelium.policy.decision import Outcome
from tests.octovigil.explain.asking import traced
from tests.octovigil.world import World, allow, inline

BLUE = {"name": "blue", "upstream": {"url": "http://127.0.0.1:1"}}
COMPUTED = "package octelium.eval\nresult := {'upstream': {'url': input.ctx.request.http.path}}"


def chosen(rules: list[dict[str, Any]], path: str = "/", **rest: Any) -> tuple[int, str, str]:
    world = World()
    world.user("ann", authorization=inline(allow()))
    world.service("wiki.default", dynamicConfig={"configs": [BLUE], "rules": rules})
    told = traced(world, {"http": {"method": "GET", "path": path}}, **rest)
    assert told.evaluator is not None
    found = choose(told.parties.service, told.evaluator)
    assert (told.outcome is Outcome.ERROR) == (found.verdict == ERROR)
    assert told.config == found.name
    return found.verdict, found.name, found.detail


def rule(match: str, **what: str) -> dict[str, Any]:
    return {"condition": {"match": match}, **what}


def test_the_first_rule_that_holds() -> None:
    rules = [
        rule("ctx.request.http.path == '/a'", configName="blue"),
        rule("ctx.request.http.path == '/b'", configName="default"),
        rule("ctx.request.http.path == '/c'", eval="{'upstream': {'url': 'http://c:1'}}"),
    ]
    assert chosen(rules) == (TRUE, "default", "default, since no rule chooses another")
    assert chosen(rules, "/a") == (TRUE, "blue", "blue, chosen by dynamicConfig.rules[0]")
    assert chosen(rules, "/b") == (TRUE, "default", "default, chosen by dynamicConfig.rules[1]")
    assert chosen(rules, "/c") == (TRUE, "", "a computed one, chosen by dynamicConfig.rules[2]")
    assert chosen([]) == (TRUE, "default", "default, the only one")


def test_rules_that_fail() -> None:
    assert chosen([rule("1 / 0 > 1", configName="blue")])[0] == ERROR
    assert "no configuration 'nope'" in chosen([rule("true", configName="nope")])[2]
    assert chosen([rule("true", eval="{'x': 1}.y")])[0] == ERROR
    assert chosen([rule("true", eval="{'nope': 1}")])[0] == ERROR


def test_modules() -> None:
    text = COMPUTED.replace("'", '"')
    assert chosen([rule("true", opa=text)], "http://127.0.0.1:2")[:2] == (TRUE, "")
    assert chosen([rule("true", opa=text)], "no URL")[0] == ERROR
    condition = {"opa": {"inline": "package octelium.condition\nmatch := input.ctx.x"}}
    assert chosen([{"condition": condition, "configName": "blue"}])[1] == "default"


def test_what_is_not_known() -> None:
    unknown = frozenset({("http", "path")})
    by_path = rule("ctx.request.http.path == '/a'", configName="blue")
    assert chosen([by_path], unknown=unknown)[0] == UNKNOWN
    computed = rule("true", opa=COMPUTED.replace("'", '"'))
    assert chosen([computed], unknown=unknown)[0] == UNKNOWN
    assert chosen([rule("true", configName="blue")], unknown=unknown)[:2] == (TRUE, "blue")
