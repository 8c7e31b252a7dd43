from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
    assert result.err == "Error: there is no Service 'none'\n  There are: wiki, db.prod\n"


def test_services_are_what_one_gets(user: Runner) -> None:
    listed = user("octelium", "get", "services").out
    for words in (["get"], ["ls"], ["list", "svc"], ["get", "SERVICE"]):
        assert user("octelium", *words).out == listed


@pytest.mark.parametrize(
    "word", ["service/wiki", "svc/wiki.default", "wiki.lab.test", "http://wiki.local.lab.test:80/x"]
)
def test_one_service_by_what_tables_show(user: Runner, word: str) -> None:
    words = [word] if word.partition("/")[0] in ("service", "svc") else ["service", word]
    assert user("octelium", "get", *words, "-o", "name").out == "service/wiki.default\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["servces"], "did you mean 'services'?"),
        (["wiki"], "octelium get service wiki"),
        (["users"], "octeliumctl get users shows users to administrators"),
        (["service/wiki", "db"], "Name one Service: 'wiki' or 'db'"),
        (["ns/prod"], "Namespaces are listed as a whole"),
        (["x" * 10_000], "is neither service nor namespace"),
        (["\x1b[31m\u202e"], "is neither service nor namespace"),
    ],
)
def test_other_words(user: Runner, words: list[str], hint: str) -> None:
    result = user("octelium", "get", *words)
    assert (result.code, result.out) == (2, "")
    assert hint in result.err
    assert len(result.err) < 500
    assert not {"\x1b", "\u202e"} & set(result.err)


def test_all_pages_or_the_one_that_is_asked_for(
    cluster: StandIn, terminal: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octelium.cli.user_get._PAGE", 2)
    for number in range(5):
        cluster.add(resource("Service", f"app-{number}"))
    told = cluster._user

    def paged(method: str, request: Any) -> Any:
        reply = told(method, request)
        size, page = request.common.items_per_page, request.common.page
        items = list(reply.items)
        about = reply.list_response_meta
        about.items_per_page, about.page, about.total_count = size, page, len(items)
        about.has_more = len(items) > size * (page + 1)
        del reply.items[:]
        reply.items.extend(items[size * page : size * (page + 1)])
        return reply

    monkeypatch.setattr(cluster, "_user", paged)
    everything = terminal("octelium", "get", "services", "-o", "name")
    names = [f"service/app-{number}.default" for number in range(5)]
    assert (everything.out.splitlines(), everything.err) == (names, "")
    found = json.loads(terminal("octelium", "get", "services", "-o", "json").out)
    assert len(found["items"]) == found["listResponseMeta"]["itemsPerPage"] == 5
    assert "hasMore" not in found["listResponseMeta"]
    wanted = ("get", "services", "-o", "name", "--items-per-page", "2", "--page", "2")
    page = terminal("octelium", *wanted)
    assert page.out.splitlines() == names[2:4]
    assert page.err == "Shown: 2 of 5; more with --page 3.\n"


def test_a_list_whose_last_page_goes_meanwhile(
    cluster: StandIn, terminal: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.add(resource("Service", "wiki"))
    told = cluster._user

    def shrinking(method: str, request: Any) -> Any:
        if request.common.page:
            raise RefusedError("NOT_FOUND", "no page 1")
        reply = told(method, request)
        reply.list_response_meta.has_more = True
        return reply

    monkeypatch.setattr(cluster, "_user", shrinking)
    found = json.loads(terminal("octelium", "get", "services", "-o", "json").out)
    assert len(found["items"]) == 1
    assert "hasMore" not in found["listResponseMeta"]


def test_a_namespace_that_does_not_exist(cluster: StandIn, terminal: Runner) -> None:
    cluster.failures["ListService"] = [RefusedError("NOT_FOUND", "no Namespace x")]
    assert "NotFound: no Namespace x" in terminal("octelium", "get", "svc", "-n", "x").err


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
