from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import httpx

from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import wait_for

if TYPE_CHECKING:
    import pytest


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

    wait_for(logged, 60)


def test_what_cannot_be_logged_is_refused_where_that_is_asked_for(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The log breaks under the running process."""
    cluster = SourceCluster(tmp_path_factory.mktemp("unlogged"), workers=1)
    cluster.environment["OCTELIUM_REFUSE_WHEN_UNLOGGED"] = "true"
    cluster.environment["OCTELIUM_LOG_CAPACITY_MB"] = "1"
    try:
        cluster.start()
        with cluster.http() as http:
            assert http.get(cluster.url("demo-nginx")).status_code == 401
            with closing(sqlite3.connect(cluster.data / "logs.db", timeout=60)) as db:
                db.execute("DROP TABLE block")
                db.commit()

            def refused() -> bool:
                return http.get(cluster.url("demo-nginx")).status_code == 503

            wait_for(refused, 60)
            health = httpx.get(f"http://127.0.0.1:{cluster.admin}/readyz")
            assert health.status_code == 503
            assert "no such table" in health.json()["checks"]["log"]
            assert http.get(cluster.url("", "/login")).status_code == 200
    finally:
        cluster.remove()


def test_a_signed_in_user_sees_the_demonstration_page(running: SourceCluster) -> None:
    api = running.api()
    api.authenticate(running.token)
    bearer = {"Authorization": f"Bearer {api.access_token}"}
    with running.http() as http:
        answer = http.get(running.url("demo-nginx"), headers=bearer)
        assert answer.status_code == 200
        assert "You are in." in answer.text
