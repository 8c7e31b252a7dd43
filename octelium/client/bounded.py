"""Answers of web servers, no longer than is wanted of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx

_MOST: Final = 64 << 10


def fetch_json(client: httpx.Client, request: httpx.Request) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object of an answer; redirects are answers too.

    Raises httpx.HTTPError when there is none, ValueError for one that is no JSON object or has more
    than 64 KiB.
    """
    response = client.send(request, stream=True, follow_redirects=False)
    try:
        content = b""
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _MOST:
                raise ValueError("the answer is too long")
    finally:
        response.close()
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"status {response.status_code}, which is no JSON") from error
    if not isinstance(value, dict):
        raise ValueError(f"status {response.status_code}, which is no JSON object")  # noqa: TRY004
    return response.status_code, value
