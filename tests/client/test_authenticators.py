from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.client import Client
from octelium.client.errors import ApiError, NotLoggedIn
from octelium.client.settings import Flags
from octelium.client.storage import MemoryStorage
from tests.client.secondfactor import PASSWORD, TYPES, URL, SecondFactor
from tests.client.standin import NOW, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(name="second")
def second_fixture(cluster: StandIn, monkeypatch: pytest.MonkeyPatch) -> SecondFactor:
    return SecondFactor(cluster, monkeypatch)


@pytest.fixture(name="client")
def client_fixture(cluster: StandIn, tmp_path: Path) -> Iterator[Client]:
    client = Client(
        Flags(),
        cluster.environ(tmp_path),
        warn=pytest.fail,
        storage=MemoryStorage(),
        clock=lambda: NOW,
        sleep=lambda _: None,
    )
    yield client
    client.close()


def test_registering_and_removing(client: Client, second: SecondFactor) -> None:
    api = client.authenticators
    made = api.create("My phone")
    assert (made.status.type, made.spec.display_name) == (TYPES.TOTP, "My phone")
    assert api.begin_registration(made) == URL
    with pytest.raises(ApiError, match="not accepted"):
        api.finish_registration(made, "000000")
    api.finish_registration(made, PASSWORD)
    (listed,) = api.list().items
    assert listed.status.is_registered
    assert [one.metadata.name for one in api.usable()] == [made.metadata.name]
    api.delete(made.metadata.name)
    assert not second.items


def test_new_tokens_are_remembered(cluster: StandIn, client: Client, second: SecondFactor) -> None:
    second.add("totp-a")
    api = client.authenticators
    (one,) = api.usable()
    api.authenticate(one, PASSWORD)
    assert cluster.generation == 2
    assert client.keeper().access_token() == "access-2"
    assert api.usable()
    with pytest.raises(ApiError):
        api.authenticate(one, "000000")
    assert client.keeper().access_token() == "access-2"


def test_without_a_login(cluster: StandIn, tmp_path: Path, second: SecondFactor) -> None:
    environ = cluster.environ(tmp_path)
    del environ["OCTELIUM_AUTH_TOKEN"]
    client = Client(Flags(), environ, warn=pytest.fail, storage=MemoryStorage())
    with pytest.raises(NotLoggedIn):
        client.authenticators.list()
    client.close()
    assert not second.items
