"""Bodies of requests, bounded in size and time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from octelium.authserver.form import MEDIA_TYPE, FormError, parse_form

if TYPE_CHECKING:
    from starlette.requests import Request

SECONDS: Final = 15.0
"""In which a body must have arrived."""


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
        BodyError: it is larger, or does not arrive in time.
        ClientDisconnect: the client is gone.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise BodyError(413, f"the body is larger than {limit} bytes")
    except TimeoutError as error:
        raise BodyError(408, "the body did not arrive in time") from error
    return bytes(body)


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
