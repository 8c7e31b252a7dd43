"""Bodies of requests, bounded in size and time, and all of them together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from octelium.authserver.form import MEDIA_TYPE, FormError, parse_form
from octelium.authserver.requests import address_of
from octelium.http.budget import Budget
from octelium.http.callers import caller_of
from octelium.schema import strict_json

if TYPE_CHECKING:
    from starlette.requests import Request

SECONDS: Final = 15.0
"""In which a body must have arrived."""
_READING: Final = Budget(32 << 20, 8 << 20)
"""Bytes of bodies that are being read in this process, and of those one caller's."""


class BodyError(Exception):
    """A body that cannot be used; `status` is what HTTP calls it, the text repeats none of it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def media_type(request: Request) -> str:
    """What the body is said to be, in lower case and without parameters."""
    given: str = request.headers.get("content-type", "")
    return given.partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes.

    Raises:
        BodyError: it is larger, does not arrive in time, or too many others arrive with it.
        ClientDisconnect: the client is gone.
    """
    body = bytearray()
    evicted = False

    def evict() -> None:
        nonlocal evicted
        evicted = True
        if not deadline.expired():  # else it is on its way out
            deadline.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(SECONDS) as deadline:
            place = _READING.place(caller_of(address_of(request)), evict)
            try:
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise BodyError(413, f"the body is larger than {limit} bytes")
                    if not evicted:
                        place.take(len(chunk))
            finally:
                place.leave()
    except TimeoutError as error:
        if evicted:
            raise BodyError(503, "too many bodies are being read; try again") from error
        raise BodyError(408, "the body did not arrive in time") from error
    return bytes(body)


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object that is the body, in which no name stands twice.

    Raises:
        BodyError: it is none, or as with `read_body`.
    """
    body = await read_body(request, limit)
    try:
        value = strict_json.parse(body)
    except ValueError as error:
        raise BodyError(400, "the body is no JSON that can be used") from error
    if not isinstance(value, dict):
        raise BodyError(400, "the body must be a JSON object")
    return value


async def read_form(request: Request, limit: int, *, wrapped: bool = False) -> dict[str, str]:
    """The fields of a form; with `wrapped` their values may have several lines.

    Raises:
        BodyError: the body is no form, or as with `read_body`.
    """
    if media_type(request) != MEDIA_TYPE:
        raise BodyError(400, f"the body must be {MEDIA_TYPE}")
    try:
        return parse_form(await read_body(request, limit), wrapped=wrapped)
    except FormError as error:
        raise BodyError(400, str(error)) from error
