from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from tests.schema.validation.world import World


def config(data: str) -> str:
    return f"kind: Config\nmetadata: {{name: cfg}}\nspec: {{}}\n{data}\n"


@pytest.mark.parametrize(
    "data",
    [
        "data: {value: x}",
        "data: {valueBytes: AAE=}",
        "data: {dataMap: {map: {a.txt: AAE=}}}",
        "data: {attrs: {a: {bC: 1}}}",
    ],
)
def test_configs(world: World, data: str) -> None:
    world.apply(config(data))


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ("", "data"),
        ("data: {}", "data"),
        ("data: {value: ''}", "data"),
        ("data: {valueBytes: ''}", "data"),
        ("data: {attrs: {}}", "data.attrs"),
        ("data: {attrs: {B: 1}}", "data.attrs.B"),
        ("data: {dataMap: {}}", "data.dataMap.map"),
        ("data: {dataMap: {map: {a: ''}}}", "data.dataMap.map.a"),
        ("data: {dataMap: {map: {'': AAE=}}}", "data.dataMap.map"),
        (f"data: {{dataMap: {{map: {{{'k' * 257}: AAE=}}}}}}", "data.dataMap.map"),
    ],
)
def test_bad_configs(world: World, data: str, path: str) -> None:
    assert world.refusal(config(data)).path == path


def test_configs_are_bounded(world: World) -> None:
    [made] = world.read(config("data: {value: x}"))
    made.data.value_bytes = b"x" * (3 * 1024 * 1024)
    with pytest.raises(Invalid, match="data: is"):
        world.validate(made)
    made.data.data_map.SetInParent()
    for number in range(257):
        made.data.data_map.map[f"k{number}"] = b"x"
    with pytest.raises(Invalid, match=r"data\.dataMap\.map: has 257 keys"):
        world.validate(made)
    assert isinstance(made, core.Config)
