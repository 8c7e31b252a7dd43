from __future__ import annotations

from typing import TYPE_CHECKING

from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_the_session_ends_once(terminal: Runner, cluster: StandIn) -> None:
    terminal("octelium", "login")
    result = terminal("octelium", "logout", "--logout")
    assert (result.code, result.out, result.err) == (0, "", "Logged out of lab.test.\n")
    assert not cluster.alive
    again = terminal("octeliumctl", "logout")
    assert (again.code, again.err) == (0, "Not logged in to lab.test.\n")
    assert cluster.methods().count("Logout") == 1


def test_a_cluster_that_cannot_be_told(terminal: Runner, cluster: StandIn) -> None:
    terminal("octelium", "login")
    cluster.failures["Logout"] = [RefusedError("INTERNAL", "no")]
    result = terminal("octelium", "logout")
    assert result.code == 0
    assert "Warning: the Cluster could not be told: Internal: no" in result.err
    del terminal.environ["OCTELIUM_AUTH_TOKEN"]
    assert "not logged in" in terminal("octelium", "status").err
