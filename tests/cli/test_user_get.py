from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.runner import Runner, resource
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from tests.client.standin import StandIn


@pytest.fixture
def user(cluster: StandIn, terminal: Runner) -> Runner:
    cluster.add(resource("Namespace", "prod"))
    wiki = cluster.add(resource("Service", "wiki", spec={"mode": "HTTP", "isPublic": True}))
    wiki.status.port = 80
    cluster.add(resource("Service", "db.prod", spec={"mode": "POSTGRES"}))
    return terminal


def test_services_as_a_table(user: Runner) -> None:
    port = user.environ["OCTELIUM_API_ENDPOINT"].rpartition(":")[2]
    assert user("octelium", "get", "services").out == (
        "NAME          PORT  MODE      PRIVATE                 URL\n"
        f"wiki.default  80    HTTP      wiki.local.lab.test     https://wiki.lab.test:{port}\n"
        "db.prod       -     POSTGRES  db.prod.local.lab.test  -\n"
    )
    head, *lines = user("octelium", "get", "services", "-o", "wide").out.splitlines()
    assert head.split()[-3:] == ["TLS", "PUBLIC", "DESCRIPTION"]
    assert [line.split()[-3:] for line in lines] == [["no", "yes", "-"], ["no", "no", "-"]]
    wide = user("octelium", "get", "svc", "wiki", "-o", "wide")
    assert wide.out.split()[-3:] == ["no", "yes", "-"]
    one = user("octelium", "get", "svc", "-n", "prod", "-o", "name")
    assert one.out == "service/db.prod\n"


def test_display_names(cluster: StandIn, terminal: Runner) -> None:
    service = cluster.add(resource("Service", "wiki", spec={"mode": "HTTP"}))
    service.metadata.display_name = "Our Wiki"
    head, row = terminal.works("get", "services").splitlines()
    assert "URL" not in head
    assert row[head.index("DISPLAYNAME") :] == "Our Wiki"


def test_one_service(user: Runner) -> None:
    assert "name: wiki.default" in user("octelium", "get", "svc", "wiki").out
    found = json.loads(user("octelium", "get", "service", "wiki", "-o", "json").out)
    assert found["spec"] == {"port": 80, "type": "HTTP", "isPublic": True}
    assert user("octelium", "get", "service", "wiki", "-o", "name").out == "service/wiki.default\n"
    result = user("octelium", "get", "service", "none")
    assert (result.code, result.out) == (1, "")
    assert "NotFound" in result.err


def test_namespaces(user: Runner) -> None:
    assert user("octelium", "get", "ns").out == "NAME  DESCRIPTION\nprod  -\n"
    assert user("octelium", "get", "ns", "-o", "wide").out == "NAME  DESCRIPTION\nprod  -\n"
    assert user("octelium", "get", "ns", "prod").code == 2


def test_an_empty_list(cluster: StandIn, terminal: Runner) -> None:
    result = terminal("octelium", "get", "services")
    assert (result.code, result.out, result.err) == (0, "", "There are no services.\n")
    assert json.loads(terminal("octelium", "get", "services", "-o", "json").out) == {}


@pytest.mark.parametrize(("kind", "method"), [("ns", "ListNamespace"), ("svc", "ListService")])
def test_pages_are_counted_as_typed(
    cluster: StandIn, terminal: Runner, kind: str, method: str
) -> None:
    cluster.failures[method] = [
        RefusedError("NOT_FOUND", "no page 8"),
        RefusedError("INTERNAL", "x"),
    ]
    assert "there is no page 9" in terminal("octelium", "get", kind, "--page", "9").err
    assert "Internal: x" in terminal("octelium", "get", kind, "--page", "9").err
