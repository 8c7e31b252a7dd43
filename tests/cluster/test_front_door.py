from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.admin import AdminError, probe
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Api


def ours(api: Api) -> list[str]:
    """What probes made and did not take away."""
    found = api.core("ListCredential", core.ListCredentialOptions()).items
    left = [item.metadata.name for item in found if item.metadata.name.startswith("probe")]
    sessions = api.core("ListSession", core.ListSessionOptions()).items
    return left + [item.metadata.name for item in sessions if item.status.user_ref.name != "root"]


def test_requests_take_the_whole_way_and_leave_nothing(running: SourceCluster) -> None:
    made = probe(str(running.data))
    assert made.url.startswith(f"https://octelium-api.{DOMAIN}:{running.port}/octelium.api")
    assert made.status == 200
    made = probe(str(running.data), "demo-nginx")
    assert (made.url, made.status) == (running.url("demo-nginx"), 200)
    assert ours(running.api()) == []
    running.login()

    def logged() -> None:
        assert "octelium" in running.ctl("logs", "--service", "demo-nginx")

    wait_for(logged, 60)


def test_a_service_that_does_not_answer(running: SourceCluster) -> None:
    api = running.api()
    running.login()
    running.apply(
        {
            "kind": "Service",
            "metadata": {"name": "gone"},
            "spec": {
                "mode": "WEB",
                "isPublic": True,
                "authorization": {"policies": ["allow-all"]},
                "config": {"upstream": {"url": "http://127.0.0.1:9"}},
            },
        },
        {
            "kind": "Service",
            "metadata": {"name": "closed"},
            "spec": {
                "mode": "WEB",
                "isPublic": True,
                "config": {"upstream": {"url": "http://127.0.0.1:9"}},
            },
        },
    )
    for name, status in (("gone", 502), ("closed", 403)):
        with pytest.raises(AdminError, match=f"{name}.{DOMAIN}:[0-9]+/ answers {status}"):
            probe(str(running.data), name)
    with pytest.raises(AdminError, match="there is no Service nowhere"):
        probe(str(running.data), "nowhere")
    assert ours(api) == []
    for name in ("gone.default", "closed.default"):
        api.core("DeleteService", meta.DeleteOptions(name=name))


def test_behind_a_load_balancer(tmp_path: Path) -> None:
    cluster = SourceCluster(tmp_path, workers=1)
    cluster.environment = {"OCTELIUM_PROXY_PROTOCOL_FROM": "127.0.0.0/8"}
    try:
        cluster.start()
        assert probe(str(cluster.data), "demo-nginx").status == 200
    finally:
        cluster.remove()
