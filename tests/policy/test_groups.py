from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy import groups as module
from octelium.policy.cel.program import new_frame
from octelium.policy.checker import Checker
from octelium.policy.groups import GroupsError, expression_of, groups
from octelium.policy.rules_context import of_assertion
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core


def taken(claims: dict[str, Any], expression: str = "ctx.assertionMap.groups") -> list[str]:
    return groups(expression, new_frame(of_assertion(claims)))


def config(data: dict[str, Any]) -> core.Config:
    return from_json(core.Config, {"kind": "Config", "metadata": {"name": "c"}, "data": data})


def test_a_claim_names_groups() -> None:
    assert taken({"groups": ["ops", "dev", "ops"]}) == ["ops", "dev"]
    chosen = 'ctx.assertionMap.groups.filter(g, g.startsWith("vpn-"))'
    assert taken({"groups": ["ops", "vpn-a", "vpn-b"]}, chosen) == ["vpn-a", "vpn-b"]
    roles = 'ctx.assertionMap.roles.map(r, "role-" + r)'
    assert taken({"roles": ["a"]}, roles) == ["role-a"]


def test_what_is_not_there_makes_none() -> None:
    assert taken({}) == []
    assert taken({"groups": []}) == []
    assert taken({"a": 1}, "ctx.assertionMap.deep.groups") == []


@pytest.mark.parametrize(
    "value",
    ["ops", 7, {"a": 1}, [1], ["a", None], [""], ["a\nb"], ["x" * 257], [["a"]]],
)
def test_what_are_no_groups_refuses(value: object) -> None:
    with pytest.raises(GroupsError):
        taken({"groups": value})


def test_a_failing_expression_refuses() -> None:
    with pytest.raises(GroupsError):
        taken({"n": 0}, "[string(1 / int(ctx.assertionMap.n))]")
    with pytest.raises(GroupsError):
        taken({}, "[")


def test_limits() -> None:
    many = [f"g{i}" for i in range(module.MOST)]
    assert taken({"groups": many}) == many
    with pytest.raises(GroupsError, match="filter"):
        taken({"groups": [*many, "more"]})
    with pytest.raises(GroupsError, match="KiB"):
        taken({"groups": [f"{i:03}{'x' * 250}" for i in range(100)]})


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_any_claim_gives_texts_or_refuses(value: object) -> None:
    try:
        found = taken({"groups": value})
    except GroupsError:
        return
    assert isinstance(value, list)
    assert found == list(dict.fromkeys(value))


def test_the_form_of_a_config() -> None:
    good = config({"attrs": {"groups": "ctx.assertionMap.groups"}})
    assert expression_of(good) == "ctx.assertionMap.groups"
    Checker().check_groups(good)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"value": "groups: x"}, "data"),
        ({"attrs": {"group": "ctx.a"}}, "data.attrs.group"),
        ({"attrs": {"groups": "ctx.a", "other": 1}}, "data.attrs.other"),
        ({"attrs": {"groups": ["ctx.a"]}}, "data.attrs.groups"),
        ({"attrs": {"groups": "ctx.("}}, "data.attrs.groups"),
        ({"attrs": {"groups": '"ops"'}}, "data.attrs.groups"),
    ],
)
def test_a_config_of_another_form(data: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        Checker().check_groups(config(data))
    assert caught.value.path == path
