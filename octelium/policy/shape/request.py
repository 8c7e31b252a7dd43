"""`ctx.request`: which members it has depends on the mode of the Service.

https://octelium.com/docs/octelium/latest/management/core/policy describes the object; its messages
are those of `RequestContext` in core.v1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from octelium.policy.shape.messages import message_shape
from octelium.policy.shape.shape import Kind, Shape
from octelium.schema.modes import HTTP_MODES, mode_name
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODE = core.ServiceSpecMode__

MEMBER: Final[dict[int, str]] = {
    _MODE.HTTP: "http",
    _MODE.WEB: "http",
    _MODE.RDP_WEB: "http",
    _MODE.GRPC: "grpc",
    _MODE.KUBERNETES: "kubernetes",
    _MODE.MCP: "mcp",
    _MODE.LLM: "llm",
    _MODE.SSH: "ssh",
    _MODE.POSTGRES: "postgres",
    _MODE.MYSQL: "mysql",
    _MODE.DNS: "dns",
    _MODE.SOCKS5: "socks5",
}
"""The member that says what a request of a mode is. Modes without one have no request object."""

ADDRESS: Final = "ip"
"""A member of the requests of all HTTP modes."""

# A request is not made of messages, so its texts may be empty; of its other fields that is not
# known, and nothing is concluded from their absence.
_WHOLE: Final = message_shape(core.RequestContextRequest.DESCRIPTOR, sparse=False)


class RequestMembers:
    """The members that a request may have in one of some modes."""

    __slots__ = ("_allowed", "_modes")

    def __init__(self, modes: frozenset[int]) -> None:
        self._modes = modes
        self._allowed = {MEMBER[mode] for mode in modes if mode in MEMBER}
        if not HTTP_MODES.isdisjoint(modes):
            self._allowed.add(ADDRESS)

    def get(self, name: str) -> Shape | None:
        """What may stand at a member; None if there is no such member."""
        assert _WHOLE.members is not None
        return _WHOLE.members.get(name) if name in self._allowed else None

    def names(self) -> Iterable[str]:
        """The members that there may be."""
        return sorted(self._allowed)

    def elsewhere(self, name: str) -> str:
        """Which modes have a member that these do not; empty if none has."""
        having = modes_with(name)
        if not having:
            return ""
        return f"only requests of mode {listed(having)} have it"


@lru_cache(maxsize=256)
def request_shape(modes: frozenset[int] | None) -> Shape | None:
    """`ctx.request` for Services of any of `modes` (None: of all); None if there is none."""
    if modes is None:
        return _WHOLE
    if not any(mode in MEMBER for mode in modes):
        return None
    return Shape(Kind.MAP, members=RequestMembers(modes))


def modes_with(member: str) -> list[int]:
    """The modes whose requests have a member."""
    if member == ADDRESS:
        return sorted(HTTP_MODES)
    return [mode for mode, name in MEMBER.items() if name == member]


def listed(modes: Iterable[int]) -> str:
    """The names of modes, for people: `HTTP, RDP_WEB or WEB`."""
    names = sorted(map(mode_name, modes))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
