"""A store in memory that keeps what `octelium.identity.transaction` asks for."""

from __future__ import annotations

import asyncio
import copy
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

NOW = 1_900_000_000


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class MemoryTransaction:
    def __init__(self, resources: dict[str, Any], clock: Callable[[], float]) -> None:
        self.resources = resources
        self._clock = clock

    def find(self, kind: str, *, uid: str = "", name: str = "") -> Any | None:
        for message in self.resources.values():
            if message.kind == kind and (
                message.metadata.name == name if name else message.metadata.uid == uid
            ):
                return copy.deepcopy(message)
        return None

    def list(self, kind: str) -> Iterator[Any]:
        return (copy.deepcopy(m) for m in list(self.resources.values()) if m.kind == kind)

    def create(self, message: Any) -> Any:
        assert self.find(message.kind, name=message.metadata.name) is None
        stored = copy.deepcopy(message)
        stored.metadata.uid = str(uuid.uuid4())
        stored.metadata.resource_version = str(uuid.uuid4())
        stored.metadata.created_at.seconds = int(self._clock())
        self.resources[stored.metadata.uid] = stored
        return copy.deepcopy(stored)

    def update(self, message: Any) -> Any:
        old = self.resources[message.metadata.uid]
        assert old.metadata.resource_version == message.metadata.resource_version
        stored = copy.deepcopy(message)
        stored.metadata.resource_version = str(uuid.uuid4())
        self.resources[stored.metadata.uid] = stored
        return copy.deepcopy(stored)

    def delete(self, kind: str, uid: str) -> object:
        assert self.resources[uid].kind == kind
        return self.resources.pop(uid)


class MemoryStore:
    """Transactions run one after the other; one that fails leaves nothing."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.resources: dict[str, Any] = {}
        self.clock = clock or Clock()
        self.operations: list[str] = []
        self._lock = asyncio.Lock()

    @property
    def tx(self) -> MemoryTransaction:
        return MemoryTransaction(self.resources, self.clock)

    @asynccontextmanager
    async def __call__(self, operation: str) -> AsyncIterator[MemoryTransaction]:
        async with self._lock:
            staged = MemoryTransaction(dict(self.resources), self.clock)
            await asyncio.sleep(0)
            yield staged
            self.resources = staged.resources
            self.operations.append(operation)
