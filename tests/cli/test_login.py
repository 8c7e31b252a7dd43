from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.client.connections import Connections
from octelium.client.storage import DirectoryStorage
from tests.client.standin import ASSERTION, DOMAIN, TOKEN, RefusedError, StandIn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner


def flags(cluster: StandIn, tmp_path: Path) -> list[str]:
    ca = tmp_path / "given.pem"
    ca.write_bytes(cluster.authority.pem)
    return ["--domain", DOMAIN, "--endpoint", cluster.endpoint, "--ca-file", str(ca)]


def test_a_login_is_remembered_with_its_connection(
    cluster: StandIn, offline: Runner, tmp_path: Path
) -> None:
    given = flags(cluster, tmp_path)
    result = offline("octelium", "login", *given, "--auth-token", TOKEN, "--scope", "api:*,x:y")
    assert (result.code, result.out) == (0, "")
    assert result.err == "Logged in to lab.test as root (Session root-000001).\n"
    assert list(cluster.calls[0].request.scopes) == ["api:*", "x:y"]
    (tmp_path / "given.pem").unlink()
    later = offline("octelium", "status")
    assert later.code == 0
    assert "lab.test" in later.out
    remembered = Connections(DirectoryStorage(tmp_path / "home")).get(DOMAIN)
    assert remembered.endpoint == cluster.endpoint


def test_the_token_from_stdin_and_from_the_environment(
    cluster: StandIn, offline: Runner, tmp_path: Path
) -> None:
    given = flags(cluster, tmp_path)
    assert (
        offline("octeliumctl", "login", *given, "--auth-token", "-", stdin=f"{TOKEN}\n").code == 0
    )
    offline.environ["OCTELIUM_AUTH_TOKEN"] = TOKEN
    assert offline("octelium", "login", *given, "--force").code == 0
    assert cluster.generation == 2


def test_a_scope_that_a_good_session_does_not_take_is_told(terminal: Runner) -> None:
    terminal("octelium", "login")
    result = terminal("octelium", "login", "--scope", "service:wiki")
    assert result.code == 0
    assert "--scope was not used: the Session is the former one, and may do more" in result.err


def test_a_good_session_is_kept_and_that_is_said(terminal: Runner, cluster: StandIn) -> None:
    terminal("octelium", "login")
    result = terminal("octelium", "login", "--auth-token", TOKEN)
    assert result.code == 0
    assert result.err == (
        "Already logged in to lab.test as root (Session root-000001).\n"
        "The token was not used; --force makes a new Session with it.\n"
    )
    assert cluster.generation == 1


def test_an_assertion_of_the_platform(cluster: StandIn, offline: Runner, tmp_path: Path) -> None:
    given = flags(cluster, tmp_path)
    offline.environ["MINE"] = ASSERTION
    words = ["--assertion", "corp:jwt:env=MINE", "--scope", "service:wiki"]
    result = offline("octelium", "login", *given, *words)
    assert (result.code, result.out) == (0, "")
    assert result.err == "Logged in to lab.test as root (Session root-000001).\n"
    request = cluster.calls[0].request
    assert (request.identity_provider_ref.name, list(request.scopes)) == ("corp", ["service:wiki"])
    assert "--force makes" in offline("octelium", "login", *given, *words).err
    assert cluster.generation == 1


def test_an_assertion_in_the_environment_serves_every_command(
    cluster: StandIn, offline: Runner, tmp_path: Path
) -> None:
    offline.environ = cluster.environ(tmp_path, OCTELIUM_ASSERTION=ASSERTION)
    del offline.environ["OCTELIUM_AUTH_TOKEN"]
    assert offline("octelium", "status").code == 0
    assert cluster.methods() == ["AuthenticateWithAssertion", "GetStatus"]


def test_a_wrong_assertion_is_told(cluster: StandIn, offline: Runner, tmp_path: Path) -> None:
    offline.environ["MINE"] = "a.b.c"
    given = flags(cluster, tmp_path)
    result = offline("octelium", "login", *given, "--assertion", "jwt:env=MINE")
    assert result.code == 1
    assert "does not accept this assertion" in result.err
    assert Connections(DirectoryStorage(tmp_path / "home")).domains() == []
    result = offline("octelium", "login", *given, "--assertion", "sorcery")
    assert result.code == 1
    assert "the types are k8s" in result.err


def test_one_way_at_a_time(offline: Runner) -> None:
    result = offline("octelium", "login", "--domain", DOMAIN, "--web", "--auth-token", "T")
    assert result.code == 2
    assert "--auth-token and --web exclude each other" in result.err


def test_help_has_an_example_of_each_way(offline: Runner) -> None:
    text = offline("octelium", "login", "--help").out
    for example in ("--device\n", "--auth-token TOKEN\n", "--assertion k8s --scope service:wiki\n"):
        assert f"octelium login --domain example.com {example}" in text


def ended(cluster: StandIn) -> list[str]:
    return [
        call.metadata["x-octelium-refresh-token"]
        for call in cluster.calls
        if call.method == "Logout"
    ]


def test_the_session_that_another_one_replaces_ends(terminal: Runner, cluster: StandIn) -> None:
    terminal("octelium", "login")
    result = terminal("octelium", "login", "--force")
    assert (result.code, result.err) == (
        0,
        "Logged in to lab.test as root (Session root-000002).\n",
    )
    assert ended(cluster) == ["refresh-1"]
    cluster.failures["Logout"] = [RefusedError("INTERNAL", "no")]
    result = terminal("octelium", "login", "--force")
    assert result.code == 0
    assert "Warning: the former Session goes on: Internal: no\n" in result.err


def test_a_wrong_token_leaves_the_former_session(terminal: Runner, cluster: StandIn) -> None:
    terminal("octelium", "login")
    assert terminal("octelium", "login", "--force", "--auth-token", "wrong").code == 1
    assert ended(cluster) == []
    assert terminal("octelium", "status").code == 0


def test_a_session_that_the_cluster_has_ended_is_replaced(
    terminal: Runner, cluster: StandIn
) -> None:
    terminal("octelium", "login")
    cluster.alive = False
    result = terminal("octelium", "login")
    assert (result.code, cluster.generation) == (0, 2)
    assert "Logged in to lab.test as root" in result.err


def test_a_wrong_token_changes_nothing(cluster: StandIn, offline: Runner, tmp_path: Path) -> None:
    result = offline("octelium", "login", *flags(cluster, tmp_path), "--auth-token", "wrong")
    assert (result.code, result.out) == (1, "")
    assert (
        "this token is not valid here (expired, rotated, used up, or of another Cluster)"
        in result.err
    )
    assert Connections(DirectoryStorage(tmp_path / "home")).domains() == []


def test_without_a_token_it_says_how(cluster: StandIn, offline: Runner, tmp_path: Path) -> None:
    result = offline("octelium", "login", *flags(cluster, tmp_path))
    assert result.code == 1
    assert "not logged in to lab.test" in result.err
    assert "--auth-token" in result.err


def test_who_may_not_ask_who_it_is_has_logged_in_all_the_same(
    terminal: Runner, cluster: StandIn
) -> None:
    cluster.failures["GetStatus"] = [RefusedError("PERMISSION_DENIED", "no")]
    result = terminal("octelium", "login")
    assert (result.code, result.err) == (0, "Logged in to lab.test.\n")


def test_a_session_that_waits_for_approval_says_so(terminal: Runner, cluster: StandIn) -> None:
    told = "the Session root-000001 waits for approval; an administrator approves it by x"
    refused = RefusedError("PERMISSION_DENIED", f"Octelium: Unauthorized: {told}")
    cluster.failures["GetStatus"] = [refused, refused, refused]
    result = terminal("octelium", "login")
    warned = f"Warning: this login cannot be used so far: {told}\n"
    assert (result.code, result.err) == (0, f"Logged in to lab.test.\n{warned}")
    again = terminal("octelium", "login")
    assert (again.code, again.err) == (0, f"Already logged in to lab.test.\n{warned}")
    asked = terminal("octelium", "status")
    assert asked.code == 1
    assert told in asked.err
    assert "Policies" not in asked.err


def test_a_home_in_memory_leaves_nothing(cluster: StandIn, offline: Runner, tmp_path: Path) -> None:
    given = flags(cluster, tmp_path)
    result = offline("octelium", "login", *given, "--auth-token", TOKEN, "--homedir", "mem")
    assert result.code == 0
    assert not (tmp_path / "home").exists()
    assert not cluster.alive


def test_an_ended_session_is_no_reason_to_go_round(terminal: Runner, cluster: StandIn) -> None:
    cluster.failures["GetStatus"] = [RefusedError("UNAUTHENTICATED", "") for _ in range(5)]
    result = terminal("octelium", "login")
    assert result.code != 0
    assert "the Session has ended" in result.err
    assert "octelium login --force, in a terminal or with --auth-token TOKEN" in result.err
