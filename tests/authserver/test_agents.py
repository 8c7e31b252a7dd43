from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.agents import agent_name

MOZILLA = "Mozilla/5.0"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            f"{MOZILLA} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (f"{MOZILLA} (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on Windows"),
        (f"{MOZILLA} (Windows NT 10.0) {WEBKIT} Chrome/1 Safari/1 Edg/1", "Edge on Windows"),
        (f"{MOZILLA} (Macintosh) {WEBKIT} Version/18.0 Safari/605.1.15", "Safari on Mac"),
        (f"{MOZILLA} (Linux; Android 15) {WEBKIT} Chrome/1 Safari/1", "Chrome on Android"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18) {WEBKIT} CriOS/1 Safari/1", "Chrome on iPhone"),
        ("Mozilla/5.0", "Browser"),
        ("octelium-cli/0.9.0 grpc-go/1.82", "octelium 0.9.0"),
        ("grpc-python/1.70 grpc-c/45", "grpc-python/1.70"),
        ("x" * 100, "x" * 60),
        ("", "unknown program"),
    ],
)
def test_names(agent: str, name: str) -> None:
    assert agent_name(agent) == name


@given(st.text(max_size=200))
def test_anything_has_a_short_name(agent: str) -> None:
    assert 0 < len(agent_name(agent)) <= 60
