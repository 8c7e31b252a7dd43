from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from octelium.cli import exits
from octelium.cli.invocation import Invocation
from octelium.cli.policy.live import Live
from octelium.cli.policy.suite import Who
from octelium.client.errors import ApiError
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import to_json
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.policy.explanations import case
from tests.cli.runner import resource
from tests.client.standin import RefusedError, StandIn
from tests.e2e.cluster import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.runner import Runner

HTTP = {"http": {"method": "GET", "path": "/"}}


@pytest.fixture
def live(cluster: StandIn, tmp_path: Path) -> Iterator[Live]:
    cluster.insight["Explain"] = ext.Explanation(outcome="ALLOWED")
    cluster.add(resource("Service", "wiki", spec={"mode": "HTTP"}))
    cluster.add(resource("Service", "db", spec={"mode": "TCP"}))
    spec = {"user": "robot", "sessionType": "CLIENTLESS", "authorization": {"policies": ["ops"]}}
    cluster.add(resource("Credential", "key", spec=spec))
    invocation = Invocation(cluster.environ(tmp_path))
    yield Live(invocation.client)
    invocation.close()


def asked(cluster: StandIn) -> ext.ExplainRequest:
    request: ext.ExplainRequest = cluster.calls[-1].request
    return request


def test_what_is_asked(cluster: StandIn, live: Live) -> None:
    device = {"spec": {"state": "ACTIVE"}}
    session = {"status": {"isBrowser": True}}
    who = Who("ann", user="ann", session=session, device=device)
    assert live.explain(case(who=who, request=HTTP, at=1_800_000_000.5)).outcome == "ALLOWED"
    assert to_json(asked(cluster)) == {
        "user": "ann",
        "service": "wiki.default",
        "request": HTTP,
        "sessionFields": session,
        "deviceFields": device,
        "at": "2027-01-15T08:00:00.500Z",
    }


def test_nobody_and_streams(cluster: StandIn, live: Live) -> None:
    live.explain(case(who=Who("anonymous"), service="db.default"))
    assert to_json(asked(cluster)) == {"service": "db.default"}


def test_credentials(cluster: StandIn, live: Live) -> None:
    live.explain(case(who=Who("key", credential="key"), request=HTTP))
    question = asked(cluster)
    assert question.user == "robot"
    assert to_json(question.session_fields) == {
        "spec": {"authorization": {"policies": ["ops"]}},
        "status": {"type": "CLIENTLESS"},
    }
    with pytest.raises(Invalid, match="no Credential k2"):
        live.explain(case(who=Who("k2", credential="k2"), request=HTTP))


def test_requests_fit_the_service_and_it_is_looked_up_once(cluster: StandIn, live: Live) -> None:
    for _ in range(2):
        live.explain(case())
    assert to_json(asked(cluster).request)["http"]["method"] == "GET"
    assert cluster.methods().count("GetService") == 1
    with pytest.raises(Invalid, match="gets streams"):
        live.explain(case(service="db", request=HTTP))


def test_who_may_not_read_services_can_ask_all_the_same(cluster: StandIn, live: Live) -> None:
    cluster.failures["GetService"] = [RefusedError("PERMISSION_DENIED")]
    live.explain(case(service="db", request=HTTP))
    assert to_json(asked(cluster).request) == HTTP


def test_refusals(cluster: StandIn, live: Live) -> None:
    for code in ("NOT_FOUND", "INVALID_ARGUMENT"):
        cluster.failures["Explain"] = [RefusedError(code, "there is no User 'anna'")]
        with pytest.raises(Invalid, match="there is no User 'anna'"):
            live.explain(case())
    cluster.failures["Explain"] = [RefusedError("PERMISSION_DENIED", "no")]
    with pytest.raises(ApiError):
        live.explain(case())
    cluster.failures["GetService"] = [RefusedError("RESOURCE_EXHAUSTED", "later")]
    with pytest.raises(ApiError, match="later"):
        live.explain(case(service="files"))


def test_a_running_cluster_decides_as_the_files_do(administrator: Runner) -> None:
    cases = ("policy", "test", str(ROOT / "examples"), "-o", "json")
    alone = json.loads(administrator.works(*cases))
    live = json.loads(administrator.works(*cases, "--live"))
    assert live["passed"] == alone["passed"] > 10
    assert live["cases"] == alone["cases"]
    assert live["coverage"]["percent"] == 100


def test_a_running_cluster_explains(administrator: Runner) -> None:
    ask = ("policy", "explain", "--user", "robot", "--service", "inventory")
    out = administrator.works(*ask, "--path", "/admin")
    assert "rule admin-paths of Policy no-admin-paths" in out.splitlines()[0]
    assert "What would allow it\n" in out
    told = json.loads(administrator.works(*ask, "--no-change", "-o", "json"))
    assert told["outcome"] == "ALLOWED"
    assert "change" not in told
    result = administrator.ctl("policy", "explain", "--user", "nemo", "--service", "inventory")
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "nemo" in result.err


def test_a_running_cluster_tells_who_may_what(administrator: Runner) -> None:
    who = ("policy", "who", "inventory", "-o", "json")
    result = administrator.ctl(*who)
    assert result.code == exits.OK
    found = {item["user"]: item for item in json.loads(result.out) if "session" not in item}
    assert (found["robot"]["verdict"], found["octelium"]["verdict"]) == ("depends", "refused")
    assert 'ctx.request.http.method in ["GET", "HEAD"]' in found["robot"]["dependsOn"]
    what = administrator.ctl("policy", "what", "robot", "--verdict", "depends", "-o", "name")
    assert "service/inventory.default\n" in what.out
    missing = administrator.ctl("policy", "who", "inventry")
    assert (missing.code, missing.out) == (exits.FAILED, "")
    assert "inventry.default does not exist" in missing.err


def test_a_running_cluster_tells_what_would_change(administrator: Runner, tmp_path: Path) -> None:
    text = (ROOT / "examples/20-policies.yaml").read_text()
    (tmp_path / "new.yaml").write_text(text.replace('["GET", "HEAD"]', '["GET"]'))
    result = administrator.ctl("diff", "--access", "new.yaml")
    assert (result.code, result.err) == (exits.DIFFERENT, "")
    assert "robot  inventory.default  depends → depends\n" in result.out
    assert 'ctx.request.http.method in ["GET"]' in result.out
    preview = administrator.works("apply", "--preview-access", "--dry-run", "new.yaml")
    assert preview.index("robot  inventory.default") < preview.index("(dry run)")
    same = administrator.ctl("diff", "--access", str(ROOT / "examples/20-policies.yaml"))
    assert same.code == exits.OK
    assert same.out.startswith("Access that changes (0 of ")
