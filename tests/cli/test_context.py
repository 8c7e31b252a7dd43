from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from octelium.client.connections import Connections, Remembered
from octelium.client.contexts import Contexts
from octelium.client.state import Login, LoginState
from octelium.client.storage import storage_at
from octelium.schema.pb import auth_v1_pb2 as auth
from tests.cli.runner import Runner, resource
from tests.client.standin import DOMAIN, NOW, TOKEN, RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.client.storage import Storage
    from tests.client.standin import StandIn

LATER = (
    "Commands mean old.test as before, unless they name another Cluster; to change that: "
    f"octelium context use {DOMAIN}\n"
)


@pytest.fixture
def home(tmp_path: Path) -> Storage:
    """Where the stand-in's person keeps logins, one of them to another Cluster."""
    storage = storage_at(tmp_path / "home")
    token = auth.SessionToken(access_token="a", refresh_token="r", refresh_token_expires_in=600)
    LoginState(storage).put("old.test", Login(token, NOW))
    Connections(storage).put("old.test", Remembered("127.0.0.1:1"))
    return storage


@pytest.fixture
def person(cluster: StandIn, terminal: Runner) -> Runner:
    """Somebody whose environment names no Cluster and gives no way in."""
    cluster.add(resource("Service", "wiki"))
    del terminal.environ["OCTELIUM_DOMAIN"], terminal.environ["OCTELIUM_AUTH_TOKEN"]
    return terminal


def log_in(person: Runner) -> str:
    result = person("octelium", "login", "--domain", DOMAIN, "--auth-token", TOKEN)
    assert result.code == 0
    return result.err


def test_the_first_login_is_meant(person: Runner, tmp_path: Path) -> None:
    assert log_in(person) == f"Logged in to {DOMAIN} as root (Session root-000001).\n"
    assert Contexts(storage_at(tmp_path / "home")).current() == DOMAIN
    result = person("octelium", "get", "services", "-o", "name")
    assert (result.out, result.err) == ("service/wiki.default\n", "")


def test_several_clusters(person: Runner, home: Storage) -> None:
    person.environ["OCTELIUM_DOMAIN"] = DOMAIN
    result = person("octelium", "login", "--auth-token", TOKEN)
    assert result.err.endswith(LATER)
    del person.environ["OCTELIUM_DOMAIN"]
    assert Contexts(home).current() == "old.test"
    assert "old.test" in person("octelium", "context", "show").out
    result = person("octelium", "context", "use", "LAB.test.")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"Commands mean {DOMAIN} now, unless they name another Cluster.\n"
    result = person("octelium", "get", "services", "-o", "name")
    assert (result.out, result.err) == ("service/wiki.default\n", f"Cluster: {DOMAIN}\n")
    named = person("octelium", "get", "services", "-o", "name", "--domain", DOMAIN)
    assert (named.out, named.err) == (result.out, "")


def test_a_login_that_names_its_cluster_chooses_it(person: Runner, home: Storage) -> None:
    chosen = f"Commands mean {DOMAIN} now, unless they name another Cluster.\n"
    assert log_in(person).endswith(f"(Session root-000001).\n{chosen}")
    assert Contexts(home).current() == DOMAIN
    assert chosen not in log_in(person)  # it is meant already
    Contexts(home).use("old.test")
    assert chosen in log_in(person)  # logged in already, and named once more
    assert Contexts(home).current() == DOMAIN
    Contexts(home).use("old.test")
    wrong = person("octelium", "login", "--force", "--domain", DOMAIN, "--auth-token", "wrong")
    assert (wrong.code, Contexts(home).current()) == (1, "old.test")


def test_flag_and_environment_go_first(person: Runner, home: Storage) -> None:
    Contexts(home).use("old.test")
    person.environ["OCTELIUM_DOMAIN"] = "env.test"
    assert person("octelium", "context", "show").out == "env.test\n"
    shown = person("octelium", "context", "show", "--domain", "flag.test")
    assert (shown.out, shown.err) == ("flag.test\n", "")
    result = person("octelium", "context", "use", "old.test")
    assert result.code == 0
    assert "Warning: OCTELIUM_DOMAIN is env.test, which goes before it" in result.err


def test_the_list(person: Runner, home: Storage) -> None:
    Connections(home).put("gone.test", Remembered("h:1"))
    assert person("octelium", "context", "list").out == (
        "DOMAIN     CURRENT  LOGIN  ENDPOINT\n"
        "gone.test  no       no     h:1\n"
        "old.test   no       yes    127.0.0.1:1\n"
    )
    assert person("octelium", "context", "show").code == 1
    Contexts(home).use("old.test")
    result = person("octelium", "context", "list", "-o", "json")
    assert result.err == ""
    assert json.loads(result.out)[1] == {
        "domain": "old.test",
        "current": True,
        "loggedIn": True,
        "endpoint": "127.0.0.1:1",
    }
    assert "- domain: gone.test\n" in person("octelium", "context", "list", "-o", "yaml").out
    named = person("octelium", "context", "list", "-o", "name").out
    assert named == "gone.test\nold.test\n"


def test_nothing_is_known(offline: Runner) -> None:
    result = offline("octelium", "context", "list")
    assert (result.code, result.out) == (0, "")
    assert "octelium login" in result.err
    result = offline("octelium", "context", "show")
    assert (result.code, result.out) == (1, "")


def test_which_ones_there_are(person: Runner, home: Storage) -> None:
    Connections(home).put("b.test", Remembered("h:1"))
    Connections(home).put("a.test", Remembered("h:1"))
    result = person("octelium", "context", "use")
    assert result.code == 2
    assert "Name a Cluster. Known: a.test, b.test, old.test." in result.err


def test_one_that_is_not_known(person: Runner, home: Storage) -> None:
    for verb in ("use", "delete"):
        result = person("octelium", "context", verb, "odl.test")
        assert result.code == 1
        assert result.err == (
            "Error: the Cluster odl.test is not known; did you mean old.test?\n"
            "  known: old.test; log in to another one: octelium login --domain odl.test\n"
        )
    assert "not a domain" in person("octelium", "context", "use", "a b").err
    assert Contexts(home).current() is None


def test_deleting_ends_the_session(cluster: StandIn, person: Runner, home: Storage) -> None:
    log_in(person)
    Contexts(home).use(DOMAIN)
    result = person("octelium", "context", "delete", DOMAIN, "--logout")
    assert (result.code, result.err) == (0, f"Forgot {DOMAIN}.\n")
    assert cluster.methods().count("Logout") == 1
    assert Contexts(home).current() is None
    assert person("octelium", "context", "show").out == "old.test\n"
    assert LoginState(home).domains() == ["old.test"]


def test_deleting_when_the_cluster_cannot_be_told(
    cluster: StandIn, person: Runner, home: Storage
) -> None:
    log_in(person)
    cluster.failures["Logout"] = [RefusedError("INTERNAL", "no")]
    result = person("octelium", "context", "rm", DOMAIN)
    assert result.code == 0
    assert result.err == f"Warning: the Cluster could not be told: Internal: no\nForgot {DOMAIN}.\n"
    assert DOMAIN not in [*LoginState(home).domains(), *Connections(home).domains()]


def test_a_damaged_file_is_no_choice(person: Runner, home: Storage) -> None:
    home.write("context.json", b"{")
    result = person("octelium", "get", "services")
    assert result.code == 1
    assert "context.json is damaged" in result.err
    assert person("octelium", "context", "use", "old.test").code == 0
