from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cli import exits
from octelium.schema.jsonform import to_json
from tests.cli.policy.explanations import V, explanation
from tests.cli.runner import resource
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.schema.pb import ext_v1_pb2 as ext
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn

TOLD = explanation((0, "reads", V.TRUE, True))
ASK = ("policy", "explain", "--user", "ann", "--service", "wiki")


@pytest.fixture(autouse=True)
def answering(cluster: StandIn) -> None:
    cluster.add(resource("Service", "wiki", spec={"mode": "HTTP"}))
    cluster.insight["Explain"] = TOLD


def question(cluster: StandIn) -> dict[str, Any]:
    request: ext.ExplainRequest = cluster.calls[-1].request
    form: dict[str, Any] = to_json(request)
    return form


def test_the_plainest_question(cluster: StandIn, terminal: Runner) -> None:
    out = terminal.works(*ASK)
    assert out.startswith("It is ALLOWED.\n")
    assert question(cluster) == {
        "user": "ann",
        "service": "wiki.default",
        "request": {"http": {"method": "GET", "uri": "/"}},
        "findChange": True,
    }


def test_everything_about_a_request(cluster: StandIn, terminal: Runner) -> None:
    terminal.works(
        *ASK[:2],
        *("--session", "ann-1", "--service", "wiki.default", "--method", "put"),
        *("--path", "/a?b=c", "--header", "X-Team: ops", "--header", "Accept:", "--query", "d=e=f"),
        *("--host", "wiki.lab.test", "--at", "2027-01-15T08:00:00Z", "--no-change"),
        *("--session-field", "status.isBrowser=true"),
        *("--session-field", "status.authentication.info.aal=AAL2"),
        *("--session-field", 'status.scopes=[{"service": {"all": {}}}]'),
        *("--device-field", "status.osType=LINUX"),
    )
    assert question(cluster) == {
        "session": "ann-1",
        "service": "wiki.default",
        "request": {
            "http": {
                "method": "PUT",
                "uri": "/a?b=c&d=e%3Df",
                "headers": {"x-team": "ops", "accept": "", "host": "wiki.lab.test"},
            }
        },
        "sessionFields": {
            "status": {
                "isBrowser": True,
                "authentication": {"info": {"aal": "AAL2"}},
                "scopes": [{"service": {"all": {}}}],
            }
        },
        "deviceFields": {"status": {"osType": "LINUX"}},
        "at": "2027-01-15T08:00:00Z",
    }


def test_headers_and_parameters_that_are_sent_twice(cluster: StandIn, terminal: Runner) -> None:
    terminal.works(
        *(*ASK[:4], "--service", "wiki", "--header", "a: 1", "--header", "a: 2"),
        *("--query", "p=1", "--query", "p=2"),
    )
    http = question(cluster)["request"]["http"]
    assert http == {"method": "GET", "uri": "/?p=1&p=2", "headers": {"a": ["1", "2"]}}


def test_any_request(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Service", "api", spec={"mode": "GRPC"}))
    stdin = "grpc: {serviceFullName: a.b.C, method: Get}"
    terminal.works(*ASK[:4], "--service", "api", "--json-request", "-", stdin=stdin)
    assert question(cluster)["request"]["grpc"]["package"] == "a.b"


def test_a_logged_request(cluster: StandIn, terminal: Runner) -> None:
    terminal.works("policy", "explain", "--log", "0198", "--no-change")
    assert question(cluster) == {"logId": "0198"}


def test_forms_for_programs(terminal: Runner) -> None:
    assert json.loads(terminal.works(*ASK, "-o", "json")) == to_json(TOLD)
    assert terminal.works(*ASK, "-o", "yaml").startswith("outcome: ALLOWED\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--user", "ann"),
        ("--user", "ann", "--session", "ann-1", "--service", "wiki"),
        ("--log", "0198", "--user", "ann"),
        ("--log", "0198", "--service", "wiki"),
        ("--log", "0198", "--path", "/"),
        ("--log", "0198", "--session-field", "a=b"),
        ("--service", "wiki", "--header", "nothing"),
        ("--service", "wiki", "--query", "=x"),
        ("--service", "wiki", "--user", "ann", "--session-field", "a=[1"),
    ],
)
def test_questions_that_make_no_sense(
    arguments: tuple[str, ...], cluster: StandIn, terminal: Runner
) -> None:
    result = terminal.ctl("policy", "explain", *arguments)
    assert (result.code, result.out) == (exits.USAGE, "")
    assert "Explain" not in cluster.methods()


def test_requests_that_are_none(tmp_path: Path, terminal: Runner) -> None:
    result = terminal.ctl(*ASK, "--path", "admin")
    assert result.code == exits.FAILED
    assert "--path: 'admin' does not begin with /" in result.err
    (tmp_path / "r.yaml").write_text("htp: {}")
    result = terminal.ctl(*ASK, "--json-request", "r.yaml")
    assert "r.yaml: htp: unknown field (did you mean http?)" in result.err
    result = terminal.ctl(*ASK, "--json-request", "-", stdin="ssh: {connect: {user: x}}")
    assert "mode HTTP has http:, not ssh:" in result.err


def test_refusals(cluster: StandIn, terminal: Runner) -> None:
    cluster.failures["Explain"] = [RefusedError("NOT_FOUND", "there is no User anna")]
    result = terminal.ctl(*ASK)
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "there is no User anna" in result.err
    cluster.insight.clear()
    assert "does not explain its decisions" in terminal.ctl(*ASK).err
