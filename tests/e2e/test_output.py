"""What the command lines write: data on stdout and nothing else, exact JSON, inert text.

The programs run in this process; the Cluster, the requests and what they carry are real.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import click
import grpc
import pytest

from octelium.cli import menu
from octelium.cli.formats import Format
from octelium.cli.invocation import Invocation
from octelium.cli.program import program
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.unseen import has_unseen
from tests.cli.runner import Runner
from tests.e2e.cluster import DOMAIN, wait_for
from tests.e2e.documents import rule
from tests.tui.hostile import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster

_PAGES = f"inert-page.{DOMAIN}"


@pytest.fixture
def terminal(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Runner:
    """The terminal of the Cluster's administrator."""
    return Runner(cluster.base_environment(), capsys, monkeypatch, now=time.time())


def takers(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The commands that can write JSON."""
    context = click.Context(group, info_name=path[-1], obj=Invocation({}))
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        forms = (each.type for each in command.params if isinstance(each.type, Format))
        if any("json" in form.choices for form in forms):
            yield (*path, name)
        if isinstance(command, click.Group):
            yield from takers(command, (*path, name))


GROUP = "kind: Group\nmetadata: {name: json-ops}\nspec: {}\n"
CALLS: dict[tuple[str, ...], list[str]] = {
    ("octelium", "status"): [],
    ("octelium", "get"): ["services"],
    ("octelium", "doctor"): [],
    ("octelium", "auth", "authenticator", "list"): [],
    ("octelium", "context", "list"): [],
    ("octelium", "version"): [],
    ("octeliumctl", "version"): [],
    ("octops", "version"): [],
    ("octeliumctl", "apply"): ["-"],
    ("octeliumctl", "get"): ["users"],
    ("octeliumctl", "create", "user"): ["json-user"],
    ("octeliumctl", "create", "credential"): ["--user", "json-user"],
    ("octeliumctl", "create", "group"): ["json-group"],
    ("octeliumctl", "create", "namespace"): ["json-ns"],
    ("octeliumctl", "create", "service"): ["json-svc", "--upstream", "http://127.0.0.1:1"],
    ("octeliumctl", "invite"): ["json-user"],
    ("octops", "invite"): ["json-user", "--data-dir", "DATA"],
    ("octops", "probe"): ["--data-dir", "DATA"],
    ("octeliumctl", "logs"): ["--tail", "5"],
    ("octeliumctl", "logs", "auth"): ["--tail", "5"],
    ("octeliumctl", "doctor"): [],
    ("octeliumctl", "policy", "explain"): ["--user", "json-user", "--service", "json-svc"],
    ("octeliumctl", "policy", "eval"): ["1 + 1"],
    ("octeliumctl", "policy", "test"): ["--live", "x.test.yaml"],
    ("octeliumctl", "policy", "who"): ["json-svc"],
    ("octeliumctl", "policy", "what"): ["json-user"],
}
"""Every command with `-o json`, in an order in which each finds what it needs."""
LINES = {("octeliumctl", "logs"), ("octeliumctl", "logs", "auth")}
"""Those that write one value a line."""
FINDINGS = {("octelium", "doctor"), ("octeliumctl", "doctor")}
"""Those that end with 1 for what they find."""


def test_every_command_with_json_is_known_here() -> None:
    found = {each for name in menu.PROGRAMS for each in takers(program(name), (name,))}
    assert found == set(CALLS)


def test_data_goes_to_stdout_and_nothing_else(
    cluster: Cluster, terminal: Runner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tests")
    terminal.monkeypatch.chdir(folder)
    (folder / "x.test.yaml").write_text(
        "cases: [{name: one, who: json-user, service: json-svc, request: GET /, expect: deny}]\n"
    )
    for (name, *words), arguments in CALLS.items():
        given = [str(cluster.data) if each == "DATA" else each for each in arguments]
        result = terminal(name, *words, *given, "-o", "json", stdin=GROUP)
        called = (name, *words)
        assert result.code == 0 or called in FINDINGS, (called, result)
        parts = result.out.splitlines() if called in LINES else [result.out]
        assert parts, called
        for part in parts:
            json.loads(part)
        assert not has_unseen(result.out + result.err), called


@pytest.fixture(scope="module")
def hostile(cluster: Cluster) -> dict[str, str]:
    """Groups with texts that want to harm, as far as the API takes them: by name, what they say."""
    api = cluster.api()
    kept: dict[str, str] = {}
    for number, text in enumerate(HOSTILE):
        name = f"inert-{number}"
        about = {"name": name, "description": text[:300], "displayName": text[:30]}
        while about.keys() - {"name"}:
            with contextlib.suppress(grpc.RpcError, Invalid, ValueError):  # what it refuses
                given = {"kind": "Group", "metadata": about, "spec": {}}
                api.core("CreateGroup", from_json(core.Group, given))
                kept[name] = about["description"]
                break
            about.popitem()
    assert len(kept) >= 8
    spec = {
        "mode": "WEB",
        "isPublic": True,
        "config": {"upstream": {"url": "http://127.0.0.1:1"}},
        "authorization": {"inlinePolicies": [{"spec": {"rules": [rule("ALLOW")]}}]},
    }
    about = {"name": "inert-page", "displayName": "\u202e<b>egap", "description": "\u2066[red]x"}
    cluster.apply({"kind": "Service", "metadata": about, "spec": spec})
    return kept


def ask(cluster: Cluster, path: bytes, agent: bytes) -> bytes:
    """What a request is answered that no client library would send."""
    with cluster.connect(_PAGES) as connection:
        connection.sendall(
            b"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\n\r\n"
            % (path, _PAGES.encode(), agent)
        )
        answer = b""
        with contextlib.suppress(OSError):
            while more := connection.recv(65536):
                answer += more
        return answer


def test_what_requests_and_resources_carry_is_inert_everywhere(
    cluster: Cluster, terminal: Runner, hostile: dict[str, str]
) -> None:
    wait_for(lambda: b" 404 " not in ask(cluster, b"/", b"x")[:20])
    agents = [text.encode("utf-8", "surrogatepass")[:9000] for text in HOSTILE]
    for number, agent in enumerate(agents):
        escaped = b"".join(b"%%%02x" % byte for byte in agent[:900])
        ask(cluster, b"/inert/%d/%s" % (number, escaped), agent)
        ask(cluster, b"/inert/%d/?%s" % (number, escaped), b"plain")
        ask(cluster, b"/inert/raw/" + agent, b"plain")
    logs = ("logs", "--service", "inert-page", "--tail", "500")

    def entries() -> list[dict[str, Any]]:
        return [json.loads(line) for line in terminal.works(*logs, "-o", "json").splitlines()]

    # Heads that are refused never come to a Service; those of the escaped paths all do.
    def is_complete() -> bool:
        seen = {path.split("/")[2] for path in map(path_of, entries()) if "/inert/" in path}
        return seen >= {str(number) for number in range(len(HOSTILE))}

    wait_for(is_complete)
    identity = next(entry["metadata"]["id"] for entry in entries() if "/inert/0/" in path_of(entry))
    evil = "\x1b[2J\u202e[red]" + "x" * 10_000
    for words in (
        *((*logs, "-o", form) for form in ("table", "wide", "json")),
        ("logs", "--id", identity),
        ("policy", "explain", "--log", identity),
        ("policy", "explain", "--log", identity, "-o", "json"),
        *(("get", "groups", "-o", form) for form in ("table", "json", "yaml", "name")),
        *(("describe", "group", name) for name in hostile),
        ("describe", "service", "inert-page"),
        ("policy", "who", "inert-page"),
        ("doctor", "inert-page"),
        # mistakes that say again what was typed
        ("get", "service", evil),
        ("get", evil),
        ("describe", "user", evil),
        ("delete", "group", evil),
        ("create", "user", evil),
        ("logs", "--user", evil),
        ("policy", "eval", evil),
        ("policy", "explain", "--user", evil, "--service", evil, "--path", evil),
        ("apply", evil[:200]),
        ("--domain", evil, "get", "users"),
    ):
        result = terminal.ctl(*words)
        assert not has_unseen(result.out + result.err), words
    for words in (
        ("get", "services"),
        ("get", "services", "-o", "wide"),
        ("get", "service", "inert-page"),
        ("open", "inert-page"),
        ("open", evil),
        ("get", "service", evil),
        ("context", "use", evil),
    ):
        result = terminal("octelium", *words)
        assert not has_unseen(result.out + result.err), words
    listed = json.loads(terminal.works("get", "groups", "-o", "json"))["items"]
    said = {item["metadata"]["name"]: item["metadata"].get("description") for item in listed}
    assert {name: said[name] for name in hostile} == hostile


def path_of(entry: dict[str, Any]) -> str:
    """The path of a request in the access log; empty if it has none."""
    found = entry["entry"].get("info", {}).get("http", {}).get("request", {}).get("path", "")
    assert isinstance(found, str)
    return found


def test_pages_show_it_as_it_is(cluster: Cluster, hostile: dict[str, str]) -> None:
    assert hostile
    token = cluster.api().access_token
    with cluster.http(headers={"x-octelium-auth": token, "accept": "text/html"}) as client:
        portal = client.get(cluster.url("portal"), follow_redirects=True).text
    assert "inert-page" in portal
    assert "&lt;b&gt;egap" in portal
    assert not has_unseen(portal)
