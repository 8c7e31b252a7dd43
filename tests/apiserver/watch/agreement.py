"""A reader of watches that holds what it has against the lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.rpc import Call
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import Compacted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from octelium.apiserver.watch.watcher import WatchService
    from octelium.store.resources import Resources

BEACON = "Region"
"""A kind that every reader watches, so that a change of it is the end of a reading."""
_TYPES = ext.ChangeType__


class Model:
    """One client: a list and the changes after it."""

    def __init__(
        self, resources: Resources, service: WatchService, session: str, kinds: Iterable[str]
    ) -> None:
        self._resources = resources
        self._service = service
        self._kinds = (*kinds, BEACON)
        self._session = session
        self._stream: AsyncGenerator[bytes] | None = None
        self.state: dict[str, Any] = {}
        self.revision = 0
        self.lists = 0
        self._heard: dict[str, int] = {}
        self.list()

    def go_to(self, resources: Resources, service: WatchService) -> None:
        """Ask another server of the same Cluster from now on."""
        self._resources, self._service = resources, service

    def list(self) -> None:
        """Take everything anew."""
        self.state = self.listed()
        self.revision = self._resources.revision
        self._heard.clear()
        self.lists += 1

    def listed(self) -> dict[str, Any]:
        """What List methods give."""
        found = {}
        for kind in self._kinds:
            for item in self._resources.list(kind):
                if not item.metadata.is_system_hidden:
                    found[item.metadata.uid] = all_rules()[kind].shown(item)
        return found

    async def close(self) -> None:
        """Break off in the middle of whatever comes."""
        if self._stream is not None:
            await self._stream.aclose()
            self._stream = None

    async def read(self, *, until: int = 0, responses: int = 0) -> None:
        """Read up to a revision, or so many responses."""
        while self.revision < until or responses > 0:
            responses -= 1
            if self._stream is None:
                self._stream = self._open()
            try:
                response = ext.WatchResponse.FromString(await anext(self._stream))
            except Compacted:
                await self.close()
                self.list()
                continue
            for change in response.changes:
                self._apply(change)
            if response.revision:
                assert response.revision >= self.revision
                self.revision = response.revision
                self._heard.clear()

    def _open(self) -> AsyncGenerator[bytes]:
        request = ext.WatchRequest(kinds=self._kinds, revision=self.revision)
        call = Call("/octelium.ext.v1.MainService/Watch", self._session)
        return self._service.watch(request, call)

    def _apply(self, change: ext.WatchedChange) -> None:
        assert change.revision > self.revision, "it was told before"
        if self._heard.get(change.uid, 0) >= change.revision:
            return  # told before the break
        self._heard[change.uid] = change.revision
        chosen = change.WhichOneof("resource")
        assert chosen is not None
        if change.type == _TYPES.DELETED:
            del self.state[change.uid]
            return
        assert (change.type == _TYPES.ADDED) == (change.uid not in self.state)
        self.state[change.uid] = getattr(change, chosen)
