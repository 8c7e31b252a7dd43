"""The fields that a browser sends, for every load of the harness."""

from __future__ import annotations

FIELDS: dict[str, str] = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://portal.octelium.localhost/services",
    "DNT": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-site",
    "Priority": "u=0, i",
}
"""With `Host` and `Cookie` a dozen."""


def cookie(token: str) -> str:
    """The `Cookie` of a signed-in browser; the same as in `wrk.lua`."""
    return f"theme=dark; lang=en; _ga=GA1.2.1234567890.1700000000; octelium_auth={token}"
