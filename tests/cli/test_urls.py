from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.cli.invocation import Invocation
from octelium.cli.urls import service_url
from octelium.client.storage import MemoryStorage
from tests.cli.runner import Runner, resource

if TYPE_CHECKING:
    from tests.client.standin import StandIn


@pytest.mark.parametrize(
    ("name", "mode", "is_public", "endpoint", "url"),
    [
        ("wiki.default", "HTTP", True, "127.0.0.1:8443", "https://wiki.lab.test:8443"),
        ("wiki.default", "WEB", True, "lab.test", "https://wiki.lab.test"),
        ("default.default", "WEB", True, "", "https://lab.test"),
        ("wiki.prod", "GRPC", True, "", "https://wiki.prod.lab.test"),
        ("wiki.default", "HTTP", False, "", ""),
        ("db.default", "POSTGRES", True, "", ""),
    ],
)
def test_where_a_service_is_found(
    name: str, mode: str, is_public: bool, endpoint: str, url: str
) -> None:
    environ = {"OCTELIUM_DOMAIN": "lab.test", "OCTELIUM_API_ENDPOINT": endpoint}
    invocation = Invocation(environ, storage=MemoryStorage())
    assert service_url(invocation, name, mode, is_public=is_public) == url


def test_it_stands_in_the_administrators_table(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Service", "wiki", spec={"mode": "HTTP", "isPublic": True}))
    head, row = terminal.works("get", "services").splitlines()
    assert head.split()[-1] == "URL"
    assert row.split()[-1] == f"https://wiki.lab.test:{cluster.port}"
