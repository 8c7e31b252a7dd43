from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from octelium.client.client import Client, TokenAtHand, is_foreign
from octelium.client.connections import Remembered
from octelium.client.errors import ApiError, SettingsError
from octelium.client.proofs import AuthenticationToken
from octelium.client.settings import Flags
from octelium.client.state import Login
from octelium.client.storage import MemoryStorage
from octelium.schema.kinds import KINDS
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.standin import DOMAIN, NOW, TOKEN, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[..., Client]


@pytest.fixture
def make(cluster: StandIn, tmp_path: Path) -> Iterator[Make]:
    made: list[Client] = []
    storage = MemoryStorage()

    def client(flags: Flags | None = None, *without: str, **environ: str) -> Client:
        whole = cluster.environ(tmp_path, **environ)
        kept = {name: value for name, value in whole.items() if name not in without}
        made.append(
            Client(
                flags or Flags(),
                kept,
                warn=pytest.fail,
                storage=storage,
                clock=lambda: NOW,
                sleep=lambda _: None,
            )
        )
        return made[-1]

    yield client
    for each in made:
        each.close()


def who(client: Client) -> str:
    status = client.api.user.call("GetStatus", user.GetStatusRequest())
    return str(status.user.metadata.name)


def test_the_first_call_logs_in_by_the_environment(cluster: StandIn, make: Make) -> None:
    assert who(make()) == "root"
    assert who(make(None, "OCTELIUM_AUTH_TOKEN")) == "root"
    methods = ["AuthenticateWithAuthenticationToken", "GetStatus", "GetStatus"]
    assert cluster.methods() == methods


def test_an_access_token_needs_no_login(cluster: StandIn, make: Make) -> None:
    cluster.new_session()
    assert who(make(OCTELIUM_ACCESS_TOKEN="access-1")) == "root"
    assert cluster.methods() == ["GetStatus"]


def test_resources_by_kind(cluster: StandIn, make: Make) -> None:
    client = make()
    assert list(client.resources.list_all(KINDS["User"])) == []
    assert client.resources is client.resources


def test_connection_settings_are_remembered_for_the_domain(
    cluster: StandIn, make: Make, tmp_path: Path
) -> None:
    make()
    flags = Flags(endpoint=cluster.endpoint, ca_file=str(tmp_path / "ca.pem"))
    make(flags).remember_connection()
    away = ("OCTELIUM_API_ENDPOINT", "SSL_CERT_FILE")
    later = make(None, *away)
    assert later.target.endpoint == cluster.endpoint
    assert who(later) == "root"
    make(Flags(tls_server_name=f"x.{DOMAIN}"), *away).remember_connection()
    remembered = later.connections.get(DOMAIN)
    assert remembered == Remembered(cluster.endpoint, f"x.{DOMAIN}", cluster.authority.pem.decode())


def test_the_only_known_cluster_is_meant(make: Make) -> None:
    who(make())
    assert make(None, "OCTELIUM_DOMAIN").domain == DOMAIN
    make().connections.put("second.test", Remembered("h:1"))
    with pytest.raises(SettingsError, match="several Clusters are known"):
        _ = make(None, "OCTELIUM_DOMAIN").domain


def test_logout_ends_the_session_and_forgets_it(cluster: StandIn, make: Make) -> None:
    client = make()
    who(client)
    client.logout()
    assert not cluster.alive
    assert client.logins.get(DOMAIN) is None


def test_a_socket_with_an_identity_of_its_own_cannot_be_logged_in(make: Make) -> None:
    client = make(OCTELIUM_AUTH_PROXY_SOCKET="/run/none.sock")
    with pytest.raises(SettingsError, match="OCTELIUM_AUTH_PROXY_SOCKET"):
        client.keeper(AuthenticationToken(TOKEN))


def test_what_a_foreign_cluster_answers() -> None:
    assert is_foreign(ApiError("UNIMPLEMENTED", "", ""))
    assert not is_foreign(ApiError("UNAVAILABLE", "", ""))


def test_the_module_itself_loads_no_grpc() -> None:
    code = "import sys, octelium.client.client; print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"


def test_the_chosen_cluster_is_meant(make: Make) -> None:
    client = make(None, "OCTELIUM_DOMAIN")
    client.connections.put("a.test", Remembered("h:1"))
    client.connections.put("b.test", Remembered("h:2"))
    client.contexts.use("b.test")
    assert client.known_domains() == ["a.test", "b.test"]
    assert client.domain == "b.test"
    assert make(Flags("a.test"), "OCTELIUM_DOMAIN").domain == "a.test"
    client.forget()
    assert make(None, "OCTELIUM_DOMAIN").domain == "a.test"


def test_a_note_tells_which_of_several_clusters_is_meant() -> None:
    storage, told = MemoryStorage(), list[str]()

    def client(environ: dict[str, str]) -> Client:
        return Client(Flags(), environ, warn=pytest.fail, note=told.append, storage=storage)

    client({}).connections.put("a.test", Remembered("h:1"))
    assert (client({}).domain, told) == ("a.test", [])
    client({}).connections.put("b.test", Remembered("h:2"))
    client({}).contexts.use("b.test")
    assert client({"OCTELIUM_DOMAIN": "a.test"}).domain == "a.test"
    assert told == []
    assert client({}).domain == "b.test"
    assert told == ["Cluster: b.test"]


def test_the_first_login_is_meant_from_then_on(make: Make) -> None:
    client = make()
    client.keeper().authenticate()
    assert client.adopt_context() == DOMAIN
    assert client.contexts.current() == DOMAIN


def test_the_token_at_hand_is_not_renewed(cluster: StandIn, make: Make) -> None:
    client = make()
    assert client.token_at_hand() is None
    login = client.keeper().authenticate()
    cluster.calls.clear()
    for token_life, whole_life, age, valid in (
        (600, 6000, 599, True),
        (600, 6000, 600, False),
        (0, 6000, 5999, True),
        (0, 6000, 6000, False),
    ):
        login.token.expires_in, login.token.refresh_token_expires_in = token_life, whole_life
        client.logins.put(DOMAIN, Login(login.token, NOW - age))
        assert client.token_at_hand() == TokenAtHand("access-1", is_valid=valid)
    given = make(OCTELIUM_ACCESS_TOKEN="given").token_at_hand()
    assert given == TokenAtHand("given", is_valid=True)
    assert "given" not in repr(given)
    assert make(OCTELIUM_AUTH_PROXY_SOCKET="/x").token_at_hand() == TokenAtHand("", is_valid=True)
    assert cluster.calls == []
