"""The token of a service account, as it is sent."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.kube.credentials import TokenFile
from octelium.controller.kube.errors import BusyError

if TYPE_CHECKING:
    from pathlib import Path


def sent(path: Path) -> str:
    """What a call says with the token of this file."""
    return next(TokenFile(path).auth_flow(httpx.Request("GET", "https://x"))).headers[
        "Authorization"
    ]


@pytest.mark.parametrize("text", ["a.b-c_d.e", " token\r\n", "+/~=="])
def test_a_token(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    assert sent(tmp_path / "token") == f"Bearer {text.strip()}"


@pytest.mark.parametrize("raw", [b"", b"\n", b"a b", b"a\nHost: x", b"a\0", b"\xff", "é".encode()])
def test_what_is_none(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "token").write_bytes(raw)
    with pytest.raises(BusyError, match="token holds none"):
        sent(tmp_path / "token")


@given(st.binary(max_size=40))
def test_nothing_else_gets_into_a_header(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-token"
    path.write_bytes(raw)
    try:
        header = sent(path)
    except BusyError:
        return
    assert header.isascii()
    assert header.removeprefix("Bearer ").encode() == raw.strip()
    assert len(header.split()) == 2


@pytest.mark.parametrize("name", ["gone", "folder"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BusyError, match=name):
        sent(tmp_path / name)


@pytest.mark.parametrize(
    ("after", "code", "tokens"),
    [
        ("one", 401, ["one"]),
        ("two", 401, ["one", "two"]),
        ("two", 200, ["one"]),
        ("two", 403, ["one"]),
    ],
)
def test_the_server_is_asked_again_only_with_another_token(
    tmp_path: Path, after: str, code: int, tokens: list[str]
) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    request = httpx.Request("GET", "https://x")
    calls = TokenFile(path).auth_flow(request)
    next(calls)
    found = [request.headers["Authorization"]]
    path.write_text(after)
    with contextlib.suppress(StopIteration):
        while len(found) < 5:
            again = calls.send(httpx.Response(code, request=request))
            found.append(again.headers["Authorization"])
    assert found == [f"Bearer {token}" for token in tokens]
