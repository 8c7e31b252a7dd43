from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import ext_v1_pb2 as ext
from tests.e2e.cluster import wait_for

if TYPE_CHECKING:
    from tests.cluster.conftest import SourceCluster


def test_a_request_is_served_and_its_record_reaches_the_log(running: SourceCluster) -> None:
    api = running.api()
    with running.http() as http:
        assert http.get(running.url("demo-nginx", "/logged?secret=1")).status_code == 401

    def logged() -> None:
        request = ext.ListAccessLogRequest(service="demo-nginx", path_prefix="/logged")
        reply = api.call(ext, "ListAccessLog", request, x_octelium_auth=api.access_token)
        assert len(reply.items) == 1
        entry = reply.items[0]
        assert entry.entry.info.http.request.path == "/logged"
        assert entry.entry.info.http.response.code == 401
        assert reply.details[0].client_address == "127.0.0.1"

    wait_for(logged, 10)


def test_a_signed_in_user_sees_the_demonstration_page(running: SourceCluster) -> None:
    api = running.api()
    api.authenticate(running.token)
    bearer = {"Authorization": f"Bearer {api.access_token}"}
    with running.http() as http:
        answer = http.get(running.url("demo-nginx"), headers=bearer)
        assert answer.status_code == 200
        assert "You are in." in answer.text
