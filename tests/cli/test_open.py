from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from octelium.client.tunnel.host import HostSide
from tests.cli.runner import Runner, resource
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.standin import StandIn

PUBLIC = {"mode": "HTTP", "isPublic": True}


@pytest.fixture
def user(cluster: StandIn, terminal: Runner) -> Runner:
    for name, port, spec in (
        ("wiki", 80, PUBLIC),
        ("shop.prod", 80, {"mode": "WEB", "isPublic": True}),
        ("notes", 80, {"mode": "HTTP"}),
        ("db.prod", 5432, {"mode": "TCP"}),
        ("api", 443, {"mode": "GRPC", "isPublic": True}),
        ("desk", 3389, {"mode": "RDP"}),
    ):
        cluster.add(resource("Service", name, spec=spec)).status.port = port
    return terminal


@pytest.fixture
def opened(user: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A person at a terminal with a browser; the addresses that it is given."""
    browser = tmp_path / "xdg-open"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    user.environ |= {"DISPLAY": ":0", "PATH": str(tmp_path)}
    monkeypatch.setattr("octelium.cli.open._is_attended", lambda: True)
    addresses: list[str] = []

    def take(command: list[str], url: str) -> bool:
        assert command == [str(browser)]
        addresses.append(url)
        return True

    monkeypatch.setattr("octelium.client.surroundings.open_address", take)
    return addresses


@pytest.mark.parametrize(
    ("name", "host"),
    [("wiki", "wiki"), ("wiki.default", "wiki"), ("shop.prod", "shop.prod")],
)
def test_in_the_browser(
    cluster: StandIn, user: Runner, opened: list[str], name: str, host: str
) -> None:
    result = user("octelium", "open", name)
    url = f"https://{host}.lab.test:{cluster.port}"
    assert opened == [url]
    assert (result.code, result.out, result.err) == (0, "", f"Opened in the browser: {url}\n")


@pytest.mark.parametrize("why", ["--print", "no display", "no terminal", "no program"])
def test_printed(
    cluster: StandIn, user: Runner, opened: list[str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    match why:
        case "no display":
            del user.environ["DISPLAY"]
        case "no terminal":
            monkeypatch.setattr("octelium.cli.open._is_attended", lambda: sys.stdout.isatty())
        case "no program":
            monkeypatch.setattr("octelium.client.surroundings.open_address", lambda *_: False)
    result = user("octelium", "open", "wiki", *(["--print"] if why == "--print" else []))
    assert (result.code, result.err) == (0, "")
    assert result.out == f"https://wiki.lab.test:{cluster.port}\n"
    assert opened == []


@pytest.mark.parametrize(
    ("name", "address", "why", "publication"),
    [
        ("db.prod", "db.prod.local.lab.test:5432", "db.prod speaks TCP", "db.prod:5432"),
        ("api", "api.local.lab.test:443", "api speaks GRPC", "api:8443"),
        ("notes", "notes.local.lab.test:80", "notes is not public", "notes:8080"),
    ],
)
def test_how_else_to_reach_it(
    user: Runner, opened: list[str], name: str, address: str, why: str, publication: str
) -> None:
    result = user("octelium", "open", name)
    assert (result.code, result.out) == (0, f"{address}\n")
    assert result.err.startswith(f"{why}")
    port = publication.rpartition(":")[2]
    assert ("find it at https://api.lab.test:" in result.err) == (name == "api")
    assert f"at localhost:{port} after:\n  octelium connect -p {publication}\n" in result.err
    assert opened == []


def test_modes_that_are_not_served(user: Runner) -> None:
    assert "mode RDP is stored but not served" in user("octelium", "open", "desk").err


@pytest.mark.parametrize(
    ("status", "url"),
    [
        (
            {"published": [{"service": "notes.default", "address": "localhost", "port": 9000}]},
            "http://localhost:9000",
        ),
        ({"state": "connected", "network": HostSide.name}, "http://notes.local.lab.test:80"),
        ({"state": "away", "network": HostSide.name}, None),
        ({"state": "connected", "network": "another"}, None),
        (None, None),
    ],
)
def test_on_a_connected_host(
    user: Runner,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    status: dict[str, Any] | None,
    url: str | None,
) -> None:
    monkeypatch.setattr("octelium.client.tunnel.control.ask", lambda _place, _what: status)
    assert user("octelium", "open", "notes").code == 0
    assert opened == ([] if url is None else [url])


def test_nothing_is_kept_that_could_tell_of_a_connection(user: Runner) -> None:
    user.environ["OCTELIUM_HOME"] = "mem"
    assert user("octelium", "open", "notes").out == "notes.local.lab.test:80\n"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("wikki", "did you mean wiki? "),
        ("db", "did you mean db.prod? "),
        ("qqqqqq", ""),
        ("--x/..\x1b[31m", ""),
        ("wiki.other.test", "did you mean wiki? "),
        ("x" * 10_000, ""),
        ("", ""),
        ("a.b.c", ""),
    ],
)
def test_unknown_names(user: Runner, opened: list[str], name: str, hint: str) -> None:
    result = user("octelium", "open", "--", name)
    assert (result.code, result.out, opened) == (1, "", [])
    assert "Error: there is no Service" in result.err
    assert f"  {hint}There are: wiki, shop.prod, notes, db.prod, api, desk\n" in result.err
    assert "\x1b" not in result.err


@pytest.mark.parametrize(
    "text",
    [
        "service/wiki",
        "svc/wiki.default",
        "WIKI",
        "wiki.lab.test",
        "wiki.local.lab.test",
        "wiki.local.lab.test:80",
        "https://wiki.lab.test/page?x=1#y",
        "https://me@WIKI.lab.test.:8443/",
    ],
)
def test_as_tables_and_browsers_show_it(user: Runner, opened: list[str], text: str) -> None:
    assert user("octelium", "open", text).code == 0
    assert [urlsplit(address).hostname for address in opened] == ["wiki.lab.test"]


def test_many_services_and_none(cluster: StandIn, terminal: Runner) -> None:
    assert "there are none" in terminal("octelium", "open", "wiki").err
    for number in range(30):
        cluster.add(resource("Service", f"app-{number}"))
    error = terminal("octelium", "open", "zz").err
    assert error.count("app-") == 20
    assert error.endswith(", … (octelium get services)\n")


def test_refusals_are_told(cluster: StandIn, user: Runner) -> None:
    cluster.failures["GetService"] = [RefusedError("PERMISSION_DENIED", "not shown")]
    result = user("octelium", "open", "wiki")
    assert (result.code, result.out) == (1, "")
    assert "PermissionDenied: not shown" in result.err


def test_a_name_that_leads_elsewhere(
    cluster: StandIn, user: Runner, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = cluster._user

    def lie(method: str, request: Any) -> Any:
        reply = told(method, request)
        if method == "GetService":
            reply.metadata.name = "evil.test/x.default"
        return reply

    monkeypatch.setattr(cluster, "_user", lie)
    result = user("octelium", "open", "wiki")
    assert (result.code, result.out, opened) == (1, "", [])
    assert "a name that no Service has" in result.err
