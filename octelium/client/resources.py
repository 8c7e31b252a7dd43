"""Resources of every kind over the official API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from octelium.client.errors import ApiError
from octelium.schema.errors import Invalid
from octelium.schema.names import full_service_name
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

    from octelium.client.api import Authorized
    from octelium.schema.kinds import Kind

    Warned = Callable[[ext.ApplyError], None]
    """Is told of something that is likely wrong with a resource."""

WARNINGS_TRAILER = "octelium-warnings-bin"
STRICT = "octelium-strict"
IF_VERSION = "octelium-if-version"
CHANGED = "OUT_OF_RANGE"
"""Code of the ApiError of an update with `if_version` that somebody else came before."""
_PAGE = 1000
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted, in which order.

    `number` counts from 0; `size` 0 leaves the number of items to the server.
    """

    number: int = 0
    size: int = 0
    by_name: bool = False
    reverse: bool = False

    def options(self) -> meta.CommonListOptions:
        """The form on the wire."""
        options = meta.CommonListOptions(page=self.number, items_per_page=self.size)
        if self.by_name or self.reverse:
            types = meta.CommonListOptionsOrderByType__
            # The server ignores a direction without a key.
            options.order_by.type = types.NAME if self.by_name else types.CREATED_AT
        if self.reverse:
            options.order_by.mode = meta.CommonListOptionsOrderByMode__.DESC
        return options


class Resources:
    """Get, list, create, update and delete, by kind. Every method raises ApiError."""

    def __init__(self, core: Authorized) -> None:
        self._core = core

    def get(self, kind: Kind, name: str, *, trailers: dict[str, bytes] | None = None) -> Any:
        """One resource by name, or by uid where `name` has the form of one.

        `trailers` is given the binary metadata that comes after the reply, here as below.
        """
        if kind.singleton:
            request = self._core.input(f"Get{kind.name}")()
        else:
            request = meta.GetOptions(**_identified(kind, name))
        return self._core.call(f"Get{kind.name}", request, trailers=trailers)

    def list_page(
        self,
        kind: Kind,
        page: Page,
        trailers: dict[str, bytes] | None = None,
        /,
        **filters: str,
    ) -> Any:
        """One page as the kind's List message. `filters`: `user`, `namespace` or `region`, by name.

        Raises Invalid for a filter that the kind does not have.
        """
        request: Any = self._core.input(f"List{kind.name}")()
        request.common.CopyFrom(page.options())
        for name, value in filters.items():
            field = f"{name}_ref"
            if field not in request.DESCRIPTOR.fields_by_name:
                raise Invalid("", f"{kind.plural} cannot be listed by {name}")
            getattr(request, field).name = value
        return self._core.call(f"List{kind.name}", request, trailers=trailers)

    def list_all(self, kind: Kind, **filters: str) -> Iterator[Any]:
        """All resources of a kind, page by page. A singleton is a list of one."""
        if kind.singleton:
            yield self.get(kind, "default")
            return
        for page in self._pages(kind, Page(size=_PAGE), filters):
            yield from page.items

    def list_whole(
        self, kind: Kind, *, by_name: bool = False, reverse: bool = False, **filters: str
    ) -> Any:
        """All resources of a kind in one List message."""
        whole: Any = None
        for page in self._pages(kind, Page(0, _PAGE, by_name, reverse), filters):
            if whole is None:
                whole = page
            else:
                whole.items.extend(page.items)
        if len(whole.items) > whole.list_response_meta.items_per_page:
            whole.list_response_meta.items_per_page = len(whole.items)
        whole.list_response_meta.has_more = False
        return whole

    def _pages(self, kind: Kind, page: Page, filters: dict[str, str]) -> Iterator[Any]:
        while True:
            try:
                listing = self.list_page(kind, page, **filters)
            except ApiError as error:
                # The last page has been deleted since the one before it was read.
                if page.number and error.code == "NOT_FOUND":
                    return
                raise
            more = listing.list_response_meta.has_more and len(listing.items)
            yield listing
            if not more:
                return
            page = replace(page, number=page.number + 1)

    def create(
        self, kind: Kind, message: Message, *, warned: Warned | None = None, strict: bool = False
    ) -> Any:
        """Create a resource and return it as stored.

        `warned` is told what is likely wrong with it; with `strict` a Cluster of ours refuses it
        instead.
        """
        metadata = ((STRICT, "true"),) if strict else ()
        return self._write(f"Create{kind.name}", message, warned, metadata)

    def update(
        self,
        kind: Kind,
        message: Message,
        *,
        warned: Warned | None = None,
        strict: bool = False,
        if_version: str = "",
    ) -> Any:
        """Replace a resource's spec and metadata and return it as stored; see `create`.

        With `if_version` a Cluster of ours refuses with the code `CHANGED` if the resource has
        another `resourceVersion` by now.
        """
        metadata = ((STRICT, "true"),) if strict else ()
        if if_version:
            metadata = (*metadata, (IF_VERSION, if_version))
        return self._write(f"Update{kind.name}", message, warned, metadata)

    def change(
        self,
        kind: Kind,
        name: str,
        adjust: Callable[[Any], None],
        *,
        warned: Warned | None = None,
    ) -> Any:
        """Read a resource, `adjust` it and write it back; the resource as stored.

        If somebody else changes it in between, it is read and adjusted again: `adjust` must do the
        same each time. After ten times the ApiError has the code `CHANGED`.
        """
        for _ in range(_ATTEMPTS):
            message = self.get(kind, name)
            version = message.metadata.resource_version
            adjust(message)
            try:
                return self.update(kind, message, warned=warned, if_version=version)
            except ApiError as error:
                if error.code != CHANGED:
                    raise
        raise ApiError(
            CHANGED,
            f"{kind.name} {name} is being changed by others all the time",
            f"Update{kind.name}",
            "nothing was changed; try again",
        )

    def _write(
        self,
        method: str,
        message: Message,
        warned: Warned | None,
        metadata: tuple[tuple[str, str], ...],
    ) -> Any:
        trailers: dict[str, bytes] = {}
        stored = self._core.call(method, message, metadata, trailers=trailers)
        if warned is not None and WARNINGS_TRAILER in trailers:
            for warning in ext.ApplyErrors.FromString(trailers[WARNINGS_TRAILER]).errors:
                warned(warning)
        return stored

    def delete(self, kind: Kind, name: str) -> None:
        """Delete a resource by name, or by uid where `name` has the form of one."""
        self._core.call(f"Delete{kind.name}", meta.DeleteOptions(**_identified(kind, name)))

    def can(self, kind: Kind, verb: str) -> bool:
        """Whether the API has a method such as `CreateUser`."""
        return self._core.has(f"{verb}{kind.name}")


def _identified(kind: Kind, name: str) -> dict[str, str]:
    if _is_uid(name):
        return {"uid": name}
    return {"name": full_service_name(name) if kind.name == "Service" else name}


def _is_uid(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(
        character in "0123456789abcdef" for part in parts for character in part.lower()
    )
