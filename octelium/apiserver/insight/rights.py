"""What a caller may read of what answers show: each kind is decided as its official method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc

from octelium.apiserver.apply.plan import method_of
from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.rpc import ApiError
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.apiserver.rpc import Authorize, Call

PARTIES: Final = ("Service", "Namespace", "User", "Group", "Session", "Device")
"""The kinds whose resources stand in `ctx`."""
SHOWN: Final = (*PARTIES, "Policy", "ClusterConfig")
"""The kinds that decisions are made of, and explanations show."""

_EXT: Final = ext.DESCRIPTOR.services_by_name["MainService"].full_name
EXPLAIN: Final = f"/{_EXT}/Explain"
LIST_ACCESS_LOG: Final = f"/{_EXT}/ListAccessLog"


class Rights:
    """The rights of one call; each is decided once."""

    def __init__(self, authorize: Authorize, call: Call) -> None:
        self._authorize = authorize
        self._call = call
        self._known: dict[str, bool] = {}

    async def may(self, method: str) -> bool:
        """Whether the caller may call `/package.Service/Method`."""
        known = self._known.get(method)
        if known is None:
            known = self._known[method] = await self._authorize(self._call, method)
        return known

    async def may_get(self, kind: str) -> bool:
        """Whether the caller may get resources of a kind; nobody may where no method does."""
        rules = all_rules().get(kind)
        return (
            rules is not None and "Get" in rules.verbs and await self.may(core_method("Get", kind))
        )

    async def readable(self) -> frozenset[str]:
        """Those of the kinds shown in explanations that the caller may get."""
        return frozenset([kind for kind in SHOWN if await self.may_get(kind)])

    async def require(self, methods: Iterable[str]) -> None:
        """Refuse a caller who lacks one of the rights.

        Raises:
            ApiError: PERMISSION_DENIED; the text names what is missing.
        """
        missing = [_short(method) for method in methods if not await self.may(method)]
        if missing:
            problem = f"Octelium: Unauthorized: this needs the right to {', '.join(missing)}"
            raise ApiError(grpc.StatusCode.PERMISSION_DENIED, problem)


def core_method(verb: str, kind: str) -> str:
    """The `/package.Service/Method` of core.v1 that does `verb` to `kind`."""
    return method_of(verb, all_rules()[kind])


def _short(method: str) -> str:
    return method.rpartition("/")[2]
