from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    import httpx

    from tests.authserver.browser import Host

EVIL = "<script>alert(1)</script>\"'&"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;"


def said(html: str) -> str:
    """A page without its nonces, which may hold any short word."""
    return re.sub(r' nonce="[A-Za-z0-9_-]*"', "", html)


def check_headers(response: httpx.Response, forms: str = "'none'") -> None:
    """What every HTML page of the Cluster carries; `forms` is where its forms may go."""
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["content-security-policy"].split(";")
    )
    nonce = re.fullmatch(r"'nonce-([A-Za-z0-9_-]{20,})'", policy.pop("style-src"))
    assert nonce is not None
    assert f'<style nonce="{nonce[1]}">' in response.text
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": forms,
        "frame-ancestors": "'none'",
    }
    assert re.search(r"<script|\son\w+=|\sstyle=", response.text) is None
    (cookie,) = [
        c for c in response.headers.get_list("set-cookie") if c.startswith("octelium_domain=")
    ]
    assert sorted(cookie.split("; ")) == [
        "Domain=example.com",
        "Path=/",
        "SameSite=none",
        "Secure",
        "octelium_domain=example.com",
    ]


@pytest.mark.parametrize("path", ["/", "/login", "/denied", "/denied/why"])
async def test_headers(host: Host, path: str) -> None:
    response = await host.client.get(path)
    check_headers(response)
    again = await host.client.get(path)
    assert again.headers["content-security-policy"] != response.headers["content-security-policy"]


async def test_a_page_is_a_whole_document(host: Host) -> None:
    html = (await host.client.get("/login")).text
    assert html.startswith("<!doctype html>")
    assert '<html lang="en">' in html
    assert html.count("<h1>") == html.count("<main ") == 1
    assert "prefers-color-scheme: dark" in html
    assert "$" not in html


async def test_the_name_of_the_cluster(host: Host) -> None:
    assert '<span class="cluster">example.com</span>' in (await host.client.get("/")).text
    config = host.cluster.resources.get(core.ClusterConfig, name="default")
    config.metadata.display_name = f"The lab {EVIL}"
    await host.cluster.change(config)
    html = (await host.client.get("/")).text
    assert f"The lab {ESCAPED}" in html
    assert '<span class="domain">example.com</span>' in html
    assert "<script" not in html


async def test_a_fault_says_nothing_of_itself(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        # Only the first page fails: the one that tells of it must come through.
        monkeypatch.undo()
        raise RuntimeError("the secret is sesame")

    monkeypatch.setattr("octelium.authserver.pages._page", fail)
    response = await host.client.get("/login")
    assert response.status_code == 500
    assert "sesame" not in response.text
    check_headers(response)
