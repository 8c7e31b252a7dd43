from __future__ import annotations

import httpx
import pytest

from octelium.client.bounded import fetch_json


def fetch(content: bytes, status: int = 200, **headers: str) -> tuple[int, dict[str, object]]:
    answer = httpx.Response(status, content=content, headers=headers)
    with httpx.Client(transport=httpx.MockTransport(lambda _: answer)) as client:
        return fetch_json(client, client.build_request("GET", "https://lab.test/"))


def test_an_object_with_any_status() -> None:
    assert fetch(b'{"a": 1}') == (200, {"a": 1})
    assert fetch(b'{"error": "no"}', 400) == (400, {"error": "no"})


def test_redirects_are_answers() -> None:
    assert fetch(b"{}", 302, location="https://evil.test/") == (302, {})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "status 200, which is no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 60_000, "no JSON"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "too long"),
    ],
)
def test_what_cannot_be_used(content: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        fetch(content)
