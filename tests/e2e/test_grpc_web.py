"""The API as pages of the Cluster call it: gRPC-Web and CORS."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from octelium.http.grpc_web import TextDecoder
from octelium.schema.pb import user_v1_pb2 as user
from tests.e2e.cluster import DOMAIN

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster

PATH = "/octelium.api.main.user.v1.MainService/GetStatus"
REQUEST = b"\0\0\0\0\0"


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        size = int.from_bytes(body[1:5], "big")
        found.append((body[0], body[5 : 5 + size]))
        body = body[5 + size :]
    return found


@pytest.mark.parametrize("text", [False, True])
def test_a_page_calls_the_api(cluster: Cluster, text: bool) -> None:
    token = cluster.api().access_token
    media_type = "application/grpc-web-text" if text else "application/grpc-web+proto"
    with cluster.http() as client:
        reply = client.post(
            cluster.url("octelium-api", PATH),
            headers={
                "content-type": media_type,
                "cookie": f"octelium_auth={token}",
                "origin": f"https://portal.{DOMAIN}:{cluster.port}",
                "x-grpc-web": "1",
            },
            content=base64.b64encode(REQUEST) if text else REQUEST,
        )
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith(media_type)
    assert reply.headers["access-control-allow-origin"] == f"https://portal.{DOMAIN}:{cluster.port}"
    assert reply.headers["access-control-allow-credentials"] == "true"
    body = TextDecoder().decode(reply.content) if text else reply.content
    (flag, message), (last, trailers) = frames(body)
    assert (flag, last) == (0, 0x80)
    status = user.GetStatusResponse.FromString(message)
    assert status.domain == DOMAIN
    assert b"grpc-status:0\r\n" in trailers


def test_a_page_of_another_site_learns_nothing(cluster: Cluster) -> None:
    url = cluster.url("octelium-api", PATH)
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-grpc-web",
    }
    with cluster.http() as client:
        own = client.options(url, headers={**asked, "origin": cluster.url("", "")})
        foreign = client.options(url, headers={**asked, "origin": f"https://evil-{DOMAIN}"})
        sibling = client.options(url, headers={**asked, "origin": cluster.url("demo-nginx", "")})
        sent = client.post(
            url,
            headers={"content-type": "application/grpc-web", "origin": "https://evil.example"},
            content=REQUEST,
        )
    assert own.status_code == 204
    assert own.headers["access-control-max-age"] == "86400"
    assert "x-grpc-web" in own.headers["access-control-allow-headers"]
    assert foreign.status_code == sibling.status_code == 403
    assert "access-control-allow-origin" not in sent.headers
    assert sent.headers["grpc-status"] == "16"
