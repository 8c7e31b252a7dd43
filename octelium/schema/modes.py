"""The modes of Services and what they have in common."""

from __future__ import annotations

from octelium.schema.pb import core_v1_pb2 as core

_MODE = core.ServiceSpecMode__

HTTP_MODES = frozenset(
    {
        _MODE.HTTP,
        _MODE.WEB,
        _MODE.GRPC,
        _MODE.KUBERNETES,
        _MODE.RDP_WEB,
        _MODE.MCP,
        _MODE.LLM,
    }
)
"""Modes whose downstream speaks HTTP; only they can be public."""

ANONYMOUS_MODES = frozenset({_MODE.HTTP, _MODE.WEB, _MODE.GRPC, _MODE.MCP, _MODE.LLM})
"""Modes that can be open to everyone."""

SERVED_MODES = frozenset({_MODE.HTTP, _MODE.WEB, _MODE.GRPC, _MODE.TCP, _MODE.UDP, _MODE.DNS})
"""Modes that this version serves. A Service of another mode is stored, and answers nobody."""

_NAMES = {value.number: value.name for value in _MODE.DESCRIPTOR.enum_types[0].values}


def mode_name(mode: int) -> str:
    """The name of a mode, such as `WEB`; an unknown one is its number."""
    return _NAMES.get(mode, str(mode))


def not_served(mode: int) -> str:
    """What to say of a mode that is not served."""
    return f"mode {mode_name(mode)} is stored but not served by this version"
