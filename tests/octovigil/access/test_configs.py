from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.access.conditions import Known
from octelium.octovigil.access.configs import Configuration
from octelium.octovigil.access.formula import Formulas
from octelium.policy.cel.openmap import OpenMap
from octelium.policy.cel.unparse import unparse
from tests.octovigil.world import World

GET = {"match": "ctx.request.http.method == 'GET'"}


def computed(path: str) -> str:
    """A module that makes a configuration of an upstream that it finds in its input."""
    return f'package octelium.eval\n\nresult := {{"upstream": {{"url": input.{path}}}}}'


def fails(*rules: dict[str, Any]) -> str:
    world = World()
    configs = [{"name": "one", "upstream": {"url": "http://127.0.0.1:1"}}]
    world.service("wiki.default", dynamicConfig={"configs": configs, "rules": list(rules)})
    http = OpenMap(present={"method": (), "path": ()})
    ctx = OpenMap({"request": OpenMap({"http": http}, open=False), "user": {"x": "y"}}, open=False)
    configuration = Configuration(world.entry())
    judgement = configuration.judge(Known(Formulas(), ctx, None))
    assert unparse(judgement.holds.node) == "true"
    return unparse(judgement.fails.node)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"condition": {"matchAny": True}, "configName": "one"}], "false"),
        ([{"condition": {"matchAny": True}, "configName": "gone"}], "true"),
        ([{"condition": GET, "configName": "gone"}], 'ctx.request.http.method == "GET"'),
        ([{"condition": GET, "configName": "one"},
          {"condition": {"matchAny": True}, "configName": "gone"}],
         'ctx.request.http.method != "GET"'),
        ([{"condition": {"match": "1/0 == 1"}, "configName": "one"}], "true"),
        ([{"condition": {"matchAny": True}, "eval": "{'upstream': {'url': ctx.user.x}}"}], "true"),
        ([{"condition": {"matchAny": True}, "eval": "{'upstream': {'url': 'http://a.b'}}"}],
         "false"),
        ([{"condition": {"matchAny": True},
           "eval": "{'upstream': {'url': ctx.request.http.path}}"}], "false"),
        ([{"condition": {"matchAny": True}, "opa": computed("ctx.user.x")}], "true"),
        ([{"condition": {"matchAny": True}, "opa": computed("ctx.request.http.path")}], "false"),
        ([{"condition": {"matchAny": True}, "eval": "json.parse(json.marshal(ctx))"}], "false"),
    ],
)  # fmt: skip
def test_selecting_may_fail(rules: list[dict[str, Any]], expected: str) -> None:
    assert fails(*rules) == expected
