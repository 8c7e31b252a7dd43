from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from octelium.client.client import Client
from octelium.client.errors import ClientError
from octelium.client.name_cache import FRESH
from octelium.client.names import GOING_ON, SECONDS, Names
from octelium.client.settings import Flags
from octelium.client.state import FILE
from octelium.client.storage import storage_at
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from tests.client.standin import NOW, RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.standin import StandIn


class Somebody:
    """A person who logged in to the stand-in, and whose shell completes names."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.now = NOW

    def client(self) -> Client:
        return Client(Flags(), self.environ, warn=pytest.fail, clock=lambda: self.now)

    @property
    def names(self) -> Names:
        return Names(self.client, lambda: self.now)


@pytest.fixture
def somebody(cluster: StandIn, tmp_path: Path) -> Somebody:
    person = Somebody(cluster.environ(tmp_path))
    client = person.client()
    client.keeper().authenticate()
    client.close()
    for name, port in (("wiki", 80), ("db.prod", 5432)):
        value = {"metadata": {"name": name}, "spec": {}}
        cluster.add(from_json(KINDS["Service"].message, value)).status.port = port
    cluster.add(from_json(KINDS["User"].message, {"metadata": {"name": "ann"}, "spec": {}}))
    cluster.calls.clear()
    return person


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time enough, for tests of what is found and not of how fast."""
    monkeypatch.setattr("octelium.client.names.SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
def test_names_are_asked_for_once_a_minute(cluster: StandIn, somebody: Somebody) -> None:
    for _ in range(3):
        assert somebody.names.services() == ["wiki.default:80", "db.prod:5432"]
        assert somebody.names.of_kind("usr") == ["ann"]
    assert sorted(cluster.methods()) == ["ListService", "ListUser"]
    somebody.now += FRESH
    assert somebody.names.of_kind("user") == ["ann"]
    assert cluster.methods().count("ListUser") == 2


@pytest.mark.usefixtures("patient")
def test_old_names_are_better_than_none(cluster: StandIn, somebody: Somebody) -> None:
    assert somebody.names.of_kind("user") == ["ann"]
    somebody.now += FRESH
    cluster.failures["ListUser"] = [RefusedError("UNAVAILABLE", "not now")]
    assert somebody.names.of_kind("user") == ["ann"]
    assert cluster.methods() == ["ListUser"] * 2  # nothing is tried again


@pytest.mark.usefixtures("patient")
def test_what_others_may_see_is_not_told(cluster: StandIn, somebody: Somebody) -> None:
    assert somebody.names.of_kind("user") == ["ann"]
    client = somebody.client()
    client.keeper().authenticate()
    client.close()
    cluster.failures["ListUser"] = [RefusedError("PERMISSION_DENIED", "no")]
    assert somebody.names.of_kind("user") == []


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("seconds", [4 * 3600, 1e8])
def test_no_login_and_no_new_token(cluster: StandIn, somebody: Somebody, seconds: float) -> None:
    somebody.now += seconds
    assert somebody.names.services() == []
    assert cluster.methods() == []


@pytest.mark.usefixtures("patient")
def test_a_token_that_is_refused_is_not_renewed(cluster: StandIn, somebody: Somebody) -> None:
    cluster.alive = False
    assert somebody.names.services() == []
    assert cluster.methods() == ["ListService"]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("word", ["nothing", "policytrigger", "clusterconfig"])
def test_kinds_without_names(somebody: Somebody, word: str) -> None:
    assert somebody.names.of_kind(word) == []


@pytest.mark.usefixtures("patient")
def test_state_that_cannot_be_read(somebody: Somebody, tmp_path: Path) -> None:
    storage_at(tmp_path / "home").write(FILE, b"\xff")
    assert somebody.names.services() == []
    del somebody.environ["OCTELIUM_DOMAIN"]
    assert somebody.names.services() == []


def test_who_does_not_answer_is_not_waited_for(somebody: Somebody) -> None:
    over, gone = threading.Event(), threading.Event()

    def client() -> Client:
        over.wait(60)
        gone.set()
        raise ClientError("too late")

    began = time.monotonic()
    assert Names(client, lambda: somebody.now).services() == []
    assert not gone.is_set()
    assert time.monotonic() - began >= SECONDS - 0.01
    over.set()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "name", ["a\nplain,rm", "\x1b[2J", "$(id)", "x" * 10_000, "b\u202ec", "-v"]
)
def test_names_that_no_resource_has_are_left_out(
    cluster: StandIn, somebody: Somebody, name: str
) -> None:
    for (kind, stored), item in cluster.objects.items():
        if (kind, stored) in {("Service", "wiki.default"), ("User", "ann")}:
            item.metadata.name = name
    assert somebody.names.services() == ["db.prod:5432"]
    assert somebody.names.of_kind("user") == []


def test_who_has_no_time_has_somebody_go_on(somebody: Somebody) -> None:
    asked: list[int] = []

    def names() -> Names:
        return Names(
            somebody.client, lambda: somebody.now, seconds=0.0, go_on=lambda: asked.append(1)
        )

    for _ in range(3):
        names().services()
    assert len(asked) == 1
    somebody.now += GOING_ON
    names().of_kind("user")
    names().services()
    assert len(asked) == 3


def test_a_question_that_ends_for_want_of_time_has_somebody_go_on(somebody: Somebody) -> None:
    asked: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        somebody.environ["OCTELIUM_API_ENDPOINT"] = f"127.0.0.1:{silent.getsockname()[1]}"
        for _ in range(5):
            names = Names(
                somebody.client, lambda: somebody.now, seconds=0.05, go_on=lambda: asked.append(1)
            )
            assert names.services() == []
            somebody.now += GOING_ON
    assert len(asked) == 5


def test_nobody_goes_on_who_would_forget_it(somebody: Somebody) -> None:
    somebody.environ |= {"OCTELIUM_HOME": "mem", "OCTELIUM_ACCESS_TOKEN": "t"}
    for home in ("mem", "/proc/none"):
        somebody.environ["OCTELIUM_HOME"] = home
        Names(somebody.client, lambda: somebody.now, seconds=0.0, go_on=pytest.fail).services()
