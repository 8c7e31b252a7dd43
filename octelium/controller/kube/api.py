"""Calls of the API server, for objects of one namespace as plain data.

Objects stay as the server gives them, with fields that nobody here knows: drift could not be judged
otherwise.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.controller.kube.clients import Clients
from octelium.controller.kube.errors import (
    BusyError,
    ConflictError,
    ExpiredError,
    KubeError,
    RefusedError,
    error_of,
)
from octelium.controller.objects.encoding import encode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from httpx import Response

    from octelium.controller.kube.account import Account
    from octelium.controller.kube.kinds import Kind

Object = dict[str, Any]
"""An object of Kubernetes, as JSON has it."""

MANAGER = "octelium-controller"
"""The field manager: by this name the server knows which fields the controller owns."""
TIMEOUT = 10.0
"""Seconds for which a call may take."""
PAGE = 250
"""Objects that one page of a list holds."""
LONGEST_WAIT = 300.0
"""Seconds of Retry-After that are heeded."""
OPEN = "OPEN"
"""What a watch says before anything has happened."""
MAX_LINE = 8 << 20
"""Bytes of one event of a watch. The server takes objects of at most 1.5 MiB."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A whole list, and the version from which a watch goes on."""

    objects: tuple[Object, ...]
    version: str


class Api:
    """The API server, seen by one account in one namespace.

    Every call raises `KubeError`, of the class that says what is to be done.
    """

    def __init__(self, account: Account, namespace: str, *, timeout: float = TIMEOUT) -> None:
        self._clients = Clients(account, timeout)
        self._timeout = timeout
        self.namespace = namespace

    async def get(self, kind: Kind, name: str) -> Object:
        """One object."""
        return await self._call("GET", kind.path(self.namespace, name))

    async def list(self, kind: Kind, selector: str = "") -> Listing:
        """All objects of a kind, or those with the labels of `selector`, page by page."""
        found: list[Object] = []
        more = ""
        while True:
            asked = {"limit": str(PAGE)}
            if selector:
                asked["labelSelector"] = selector
            if more:
                asked["continue"] = more
            page = await self._call("GET", kind.path(self.namespace), asked)
            items, meta = page.get("items") or [], page.get("metadata") or {}
            for item in items:
                # The members of a list do not say what they are.
                item.update(apiVersion=kind.api_version, kind=kind.name)
            found += items
            more = meta.get("continue") or ""
            if not more:
                return Listing(tuple(found), str(meta.get("resourceVersion", "")))

    async def apply(self, kind: Kind, value: Object, *, within: float | None = None) -> Object:
        """Server-side apply: own the fields of `value`, and give them its values.

        A uid in its metadata makes it fail where that object is no more. See Kubernetes,
        "Server-Side Apply".
        """
        try:
            return await self._call(
                "PATCH",
                kind.path(self.namespace, value["metadata"]["name"]),
                {"fieldManager": MANAGER, "force": "true"},
                value,
                "application/apply-patch+yaml",
                within,
            )
        except RefusedError as error:
            if error.code == 422 and "metadata.uid" in str(error):
                # Another object has the name by now: the server calls that an invalid uid.
                raise ConflictError(str(error), error.code) from error
            raise

    async def merge(self, kind: Kind, value: Object, *, within: float | None = None) -> Object:
        """JSON merge patch (RFC 7396): give the fields of `value` its values, lists as a whole.

        A uid in its metadata makes it fail where that object is no more, and a version where it is
        another by now.
        """
        return await self._call(
            "PATCH",
            kind.path(self.namespace, value["metadata"]["name"]),
            {"fieldManager": MANAGER},
            value,
            "application/merge-patch+json",
            within,
        )

    async def create(self, kind: Kind, value: Object) -> Object:
        """Create an object; `ConflictError` if there is one of that name."""
        asked = {"fieldManager": MANAGER}
        return await self._call("POST", kind.path(self.namespace), asked, value)

    async def replace(self, kind: Kind, value: Object, *, within: float | None = None) -> Object:
        """Replace an object; `ConflictError` unless its version is still that of `value`."""
        path = kind.path(self.namespace, value["metadata"]["name"])
        return await self._call("PUT", path, {"fieldManager": MANAGER}, value, within=within)

    async def delete(self, kind: Kind, name: str, uid: str, *, within: float | None = None) -> None:
        """Delete the object that has this name and this uid, and what belongs to it later."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        await self._call("DELETE", kind.path(self.namespace, name), {}, options, within=within)

    async def watch(
        self, kind: Kind, selector: str, version: str, *, seconds: int, silence: float
    ) -> AsyncGenerator[tuple[str, Object]]:
        """What happens after `version`: ("ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK", object).

        First ("OPEN", {}) says that the server agrees to tell.
        It ends after about `seconds`, or when the server ends it. A connection from which nothing
        comes for `silence` seconds raises `BusyError`: the server sends a bookmark each minute.
        """
        import httpx

        asked = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        if selector:
            asked["labelSelector"] = selector
        async with self._clients.lend() as client:
            request = client.build_request(
                "GET",
                kind.path(self.namespace),
                params=asked,
                timeout=httpx.Timeout(self._timeout, read=silence),
            )
            response = await client.send(request, stream=True)
            try:
                if response.status_code >= 300:
                    await response.aread()
                    raise _refusal(response)
                yield OPEN, {}
                async for line in _lines(response):
                    yield _event(line)
            finally:
                await response.aclose()

    async def close(self) -> None:
        """End all connections."""
        await self._clients.close()

    async def _call(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str] | None = None,
        body: Object | None = None,
        form: str = "application/json",
        within: float | None = None,
    ) -> Object:
        content = None if body is None else encode(body)
        headers = {} if body is None else {"Content-Type": form}
        limit = self._timeout if within is None else within
        try:
            async with asyncio.timeout(limit), self._clients.lend() as client:
                response = await client.request(
                    method, path, params=dict(asked or {}), content=content, headers=headers
                )
        except TimeoutError as error:
            raise BusyError("the API server does not answer in time") from error
        if response.status_code >= 300:
            raise _refusal(response)
        return _decoded(response.content)


def _decoded(body: bytes) -> Object:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise BusyError(f"the API server's answer is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BusyError("the API server's answer is no object")
    return value


def _refusal(response: Response) -> KubeError:
    code = response.status_code
    try:
        value = json.loads(response.content)
        message = str(value["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the API server answers {code}"
    after = response.headers.get("Retry-After", "")
    seconds = float(after) if after.isascii() and after.isdigit() else 0.0
    return error_of(code, message, min(seconds, LONGEST_WAIT))


async def _lines(response: Response) -> AsyncIterator[bytes]:
    """The lines of a stream. Only a line feed ends one; JSON may hold other line separators."""
    rest = b""
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > MAX_LINE:
            raise ExpiredError(f"an event of a watch is longer than {MAX_LINE} bytes")


def _event(line: bytes) -> tuple[str, Object]:
    value = _decoded(line)
    what, found = value.get("type"), value.get("object")
    if not isinstance(what, str) or not isinstance(found, dict):
        raise BusyError("an event of a watch has no type or no object")
    if what == "ERROR":
        code = found.get("code")
        text = str(found.get("message", "the watch failed"))
        raise error_of(code if isinstance(code, int) else 500, text)
    return what, found
