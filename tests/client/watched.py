"""A Cluster that tells changes, or does not, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from google.protobuf.message_factory import GetMessageClass

from octelium.client.errors import ApiError
from octelium.client.lists import REVISION_TRAILER
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.client.api import Api

WatchResponse = ext.WatchResponse
_SERVICE = core.DESCRIPTOR.services_by_name["MainService"]
_FIELDS = {
    field.message_type.name: field.name
    for field in ext.WatchedChange.DESCRIPTOR.fields
    if field.message_type is not None
}


def failure(code: str) -> ApiError:
    return ApiError(code, code.lower(), "/Watch")


class Spoken:
    """One call of `Watch`: what a test wrote down for it."""

    def __init__(self, steps: list[Any]) -> None:
        self.steps = steps
        self.cancelled = False

    def __iter__(self) -> Iterator[WatchResponse]:
        for step in self.steps:
            if isinstance(step, ApiError):
                raise step
            if callable(step):
                step()
            else:
                yield step

    def cancel(self) -> None:
        self.cancelled = True


class Service:
    """`core.v1` and `ext.v1` of the Cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def input(self, method: str) -> Any:
        return GetMessageClass(_SERVICE.methods_by_name[method].input_type)

    def call(
        self,
        method: str,
        request: Any,
        metadata: object = (),
        *,
        trailers: dict[str, bytes] | None = None,
    ) -> Any:
        return self._cluster.call(method, request, {} if trailers is None else trailers)

    def converse(self, method: str, requests: Iterator[Any]) -> tuple[str, Spoken]:
        assert method == "Watch"
        request = ext.WatchRequest()
        request.CopyFrom(next(requests))
        self._cluster.asked.append(request)
        if not self._cluster.script:
            raise EndedError
        return "token", Spoken(self._cluster.script.pop(0))

    def renew(self, rejected: str) -> bool:
        assert rejected == "token"
        self._cluster.renewed += 1
        return self._cluster.can_renew


class EndedError(Exception):
    """Ends the endless."""


class Cluster:
    """Resources with versions and a revision, and what each `Watch` says."""

    def __init__(self, *script: list[Any]) -> None:
        self.script = list(script)
        self.asked: list[ext.WatchRequest] = []
        self.calls: list[str] = []
        self.failures: list[ApiError] = []
        self.items: dict[str, Any] = {}
        self.revision = 10
        self.tells_revision = True
        self.page = 1000
        self.before_page: Callable[[int], None] = lambda _number: None
        self.renewed = 0
        self.can_renew = True
        self.core = self.ext = Service(self)

    @property
    def api(self) -> Api:
        return cast("Api", self)

    def call(self, method: str, request: Any, trailers: dict[str, bytes]) -> Any:
        self.calls.append(method)
        if self.failures:
            raise self.failures.pop(0)
        kind = KINDS[method.removeprefix("List").removeprefix("Get")]
        number = 0 if kind.singleton else request.common.page
        self.before_page(number)
        if self.tells_revision:
            told = ext.WatchResponse(revision=self.revision)
            trailers[REVISION_TRAILER] = told.SerializeToString()
        items = [item for item in self.items.values() if item.kind == kind.name]
        if kind.singleton:
            return items[0]
        assert kind.list_message is not None
        page = items[number * self.page : (number + 1) * self.page]
        if number and not page:
            raise failure("NOT_FOUND")
        reply = kind.list_message(items=page)
        reply.list_response_meta.total_count = len(items)
        reply.list_response_meta.has_more = (number + 1) * self.page < len(items)
        return reply

    def put(self, name: str, kind: str = "Group") -> WatchResponse:
        """Create or change a resource; how a watch tells it."""
        self.revision += 1
        before = self.items.get(name)
        item = KINDS[kind].message(api_version="core/v1", kind=kind)
        item.metadata.name = item.metadata.uid = name
        item.metadata.resource_version = f"v{self.revision}"
        self.items[name] = item
        types = ext.ChangeType__
        return self._told(item, types.ADDED if before is None else types.MODIFIED)

    def delete(self, name: str) -> WatchResponse:
        self.revision += 1
        return self._told(self.items.pop(name), ext.ChangeType__.DELETED)

    def _told(self, item: Any, change: Any) -> WatchResponse:
        told = ext.WatchedChange(
            revision=self.revision, type=change, kind=item.kind, uid=item.metadata.uid
        )
        getattr(told, _FIELDS[item.kind]).CopyFrom(item)
        return ext.WatchResponse(changes=[told], revision=self.revision)


def mark(revision: int) -> WatchResponse:
    return ext.WatchResponse(revision=revision)
