from __future__ import annotations

import pytest
from starlette.requests import Request

from octelium.authserver.origins import comes_from

OWN = "https://example.com"
PORTAL = "https://portal.example.com"


def request(*headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "POST", "headers": raw})


SAME = ("sec-fetch-site", "same-origin")


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", OWN)],
        [("origin", OWN), SAME],
        [SAME],
    ],
)
def test_own_pages(headers: list[tuple[str, str]]) -> None:
    assert comes_from(request(*headers), OWN)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("origin", "null")],
        [("origin", "https://evil.test")],
        [("origin", "https://wiki.example.com")],
        [("origin", "http://example.com")],
        [("origin", "https://example.com:8443")],
        [("origin", "https://example.com.evil.test")],
        [("origin", "https://Example.com")],
        [("origin", "")],
        [("origin", OWN), ("origin", OWN)],
        [("origin", OWN), ("sec-fetch-site", "cross-site")],
        [("origin", OWN), ("sec-fetch-site", "same-site")],
        [("origin", OWN), ("sec-fetch-site", "none")],
        [("origin", OWN), SAME, SAME],
        [("origin", PORTAL)],
        [("origin", PORTAL), SAME],
        [("origin", PORTAL), ("sec-fetch-site", "same-site")],
        [("origin", PORTAL), ("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "none")],
        [("referer", OWN + "/login")],
    ],
)
def test_others(headers: list[tuple[str, str]]) -> None:
    assert not comes_from(request(*headers), OWN)
