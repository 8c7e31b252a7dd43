from __future__ import annotations

import pytest

from octelium.policy.shape.request import MEMBER, listed, modes_with, request_shape
from octelium.schema.modes import HTTP_MODES
from octelium.schema.pb import core_v1_pb2 as core

MODE = core.ServiceSpecMode__


def names(*modes: int) -> set[str]:
    shape = request_shape(frozenset(modes))
    assert shape is not None
    assert shape.members is not None
    return set(shape.members.names())


@pytest.mark.parametrize(
    ("mode", "members"),
    [
        (MODE.HTTP, {"ip", "http"}),
        (MODE.WEB, {"ip", "http"}),
        (MODE.RDP_WEB, {"ip", "http"}),
        (MODE.GRPC, {"ip", "grpc"}),
        (MODE.KUBERNETES, {"ip", "kubernetes"}),
        (MODE.MCP, {"ip", "mcp"}),
        (MODE.LLM, {"ip", "llm"}),
        (MODE.SSH, {"ssh"}),
        (MODE.POSTGRES, {"postgres"}),
        (MODE.MYSQL, {"mysql"}),
        (MODE.DNS, {"dns"}),
        (MODE.SOCKS5, {"socks5"}),
    ],
)
def test_members_by_mode(mode: int, members: set[str]) -> None:
    assert names(mode) == members


@pytest.mark.parametrize("mode", [MODE.TCP, MODE.UDP, MODE.RDP])
def test_modes_without_requests(mode: int) -> None:
    assert request_shape(frozenset({mode})) is None


def test_every_mode_is_known() -> None:
    modes = {value.number for value in MODE.DESCRIPTOR.enum_types[0].values} - {0}
    assert modes - set(MEMBER) == {MODE.TCP, MODE.UDP, MODE.RDP}
    known = {field.json_name for field in core.RequestContextRequest.DESCRIPTOR.fields}
    assert set(MEMBER.values()) | {"ip"} == known


def test_several_modes() -> None:
    assert names(MODE.SSH, MODE.HTTP, MODE.TCP) == {"ssh", "ip", "http"}
    shape = request_shape(None)
    assert shape is not None
    assert shape.members is not None
    assert set(shape.members.names()) == {*MEMBER.values(), "ip"}


def test_why_a_member_is_not_there() -> None:
    shape = request_shape(frozenset({MODE.SSH}))
    assert shape is not None
    assert shape.members is not None
    assert shape.members.get("http") is None
    assert shape.members.elsewhere("http") == "only requests of mode HTTP, RDP_WEB or WEB have it"
    assert "MCP" in shape.members.elsewhere("ip")
    assert shape.members.elsewhere("htpp") == ""
    ssh = shape.members.get("ssh")
    assert ssh is not None
    assert ssh.members is not None
    assert list(ssh.members.names()) == ["connect"]


def test_words() -> None:
    assert modes_with("dns") == [MODE.DNS]
    assert modes_with("ip") == sorted(HTTP_MODES)
    assert listed([MODE.DNS]) == "DNS"
    assert listed([MODE.WEB, MODE.HTTP]) == "HTTP or WEB"
