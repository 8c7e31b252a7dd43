from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.authserver.cookies import ACCESS, REFRESH

if TYPE_CHECKING:
    from tests.authserver.browser import Host


async def ended(host: Host, path: str, cookies: str) -> list[str]:
    """The cookies that an answer ends."""
    response = await host.client.get(path, headers={"cookie": cookies})
    lines = response.headers.get_list("set-cookie")
    return [line for line in lines if not line.startswith("octelium_domain=")]


@pytest.mark.parametrize("name", [ACCESS, REFRESH])
async def test_what_was_planted_is_ended(host: Host, name: str) -> None:
    lines = await ended(host, "/login?error=again", f"{name}=a; x=y; {name}=b")
    assert {line.partition("=")[0] for line in lines} == {name}
    assert f"{name}=; Max-Age=0; Path=/login; Domain=example.com; Secure" in lines
    assert f"{name}=; Max-Age=0; Path=/; Domain=example.com; Secure; Partitioned" in lines
    # The genuine one stays.
    assert f"{name}=; Max-Age=0; Path=/; Domain=example.com; Secure" not in lines
    assert not any("HttpOnly" in line for line in lines)


@pytest.mark.parametrize("path", ["/callback/success", "/authenticators", "/nothing/here"])
async def test_on_every_page(host: Host, path: str) -> None:
    lines = await ended(host, path, f"{REFRESH}=a; {REFRESH}=b")
    assert f"{REFRESH}=; Max-Age=0; Path={path}; Domain=example.com; Secure" in lines


async def test_others_are_left_alone(host: Host) -> None:
    assert await ended(host, "/login", "x=a; x=b") == []
    lines = await ended(host, "/login", f"{REFRESH}=a")
    assert {line.partition("=")[0] for line in lines} == {ACCESS, REFRESH}
    assert not any("Path=/login" in line for line in lines)
