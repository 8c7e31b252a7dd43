from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli import exits
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.policy.test_accesses import ACCESSES

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_users_of_a_service(cluster: StandIn, terminal: Runner) -> None:
    cluster.insight["ListAccess"] = ext.ListAccessResponse(items=ACCESSES, notes=["Not all."])
    result = terminal.ctl("policy", "who", "wiki")
    assert (result.code, result.err) == (0, "Not all.\n")
    assert result.out.startswith("USER ")
    assert cluster.calls[-1].request == ext.ListAccessRequest(service="wiki.default")
    result = terminal.ctl("policy", "who", "wiki", "--verdict", "Allowed,refused", "-o", "name")
    assert result.out == "user/ann\nuser/a-long-name\n"


def test_mistakes(cluster: StandIn, terminal: Runner) -> None:
    result = terminal.ctl("policy", "who", "wiki", "--verdict", "alowed")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert terminal.ctl("policy", "who").code == exits.USAGE
    cluster.foreign = True
    result = terminal.ctl("policy", "who", "wiki")
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "does not explain its decisions" in result.err
