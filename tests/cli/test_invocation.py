from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from octelium.cli.invocation import Invocation
from octelium.client.connections import Remembered
from octelium.client.storage import MemoryStorage
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_the_process_s_own_world_by_default() -> None:
    invocation = Invocation()
    assert invocation.environ is os.environ
    assert invocation.now is time.time


def test_flags_reach_the_client() -> None:
    invocation = Invocation({"OCTELIUM_DOMAIN": "env.test"}, storage=MemoryStorage())
    invocation.flags |= {"domain": "flag.test", "endpoint": "h:1", "homedir": "/nowhere"}
    assert invocation.client.domain == "flag.test"
    assert invocation.client.target.endpoint == "h:1"
    invocation.close()


@pytest.mark.parametrize(("value", "wanted"), [("true", True), ("1", True), ("no", False)])
def test_logging_out_by_the_environment(value: str, wanted: bool) -> None:
    assert Invocation({"OCTELIUM_LOGOUT": value}).logout_wanted is wanted


def test_a_session_that_nobody_remembers_ends(cluster: StandIn, terminal: Runner) -> None:
    terminal.environ["OCTELIUM_HOME"] = "mem"
    terminal.works("get", "users", "-o", "name")
    terminal.ctl("get", "user", "none")
    assert cluster.methods().count("Logout") == 2
    cluster.failures["Logout"] = [RefusedError("INTERNAL", "no")]
    result = terminal.ctl("get", "users", "-o", "name")
    assert result.code == 0
    assert result.err == "Warning: the Session of this command goes on: Internal: no\n"
    terminal.works("get", "users", "-o", "name")
    cluster.calls.clear()
    assert "Logged out of lab.test." in terminal.ctl("get", "users", "--logout").err
    assert cluster.methods().count("Logout") == 1


def test_without_a_client_there_is_nothing_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    invocation = Invocation({"OCTELIUM_LOGOUT": "true"})
    invocation.finish()
    invocation.close()
    assert capsys.readouterr() == ("", "")


def test_other_clients_of_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    storage = MemoryStorage()
    invocation = Invocation({}, storage=storage)
    invocation.flags |= {"endpoint": "h:1", "homedir": "/nowhere"}
    for domain in ("a.test", "b.test"):
        invocation.client_of(domain).connections.put(domain, Remembered("other:2"))
    invocation.client_of("a.test").contexts.use("a.test")
    assert invocation.client_of("b.test").target.endpoint == "other:2"
    silent = invocation.silent_client()
    assert (silent.domain, silent.target.endpoint) == ("a.test", "h:1")
    assert capsys.readouterr().err == ""
    assert invocation.client.domain == "a.test"
    assert capsys.readouterr().err == "Cluster: a.test\n"
    invocation.close()
