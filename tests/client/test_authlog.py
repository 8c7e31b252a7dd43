from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client import authlog
from octelium.client.api import Api, FixedToken
from octelium.client.authlog import follow_attempts, last_attempts
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.settings import Target
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.standin import DOMAIN, NOW, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.client.api import Authorized

Request = ext.ListAuthenticationLogRequest


def attempt(number: int, user: str = "ann") -> ext.AuthenticationLogEntry:
    entry = ext.AuthenticationLogEntry(id=f"auth-{number}", way="passkey", outcome="succeeded")
    entry.at.FromSeconds(int(NOW) + number)
    entry.user.name = user
    return entry


@pytest.fixture
def service(cluster: StandIn) -> Iterator[Authorized]:
    cluster.new_session()
    name = f"octelium-api.{DOMAIN}"
    target = Target(DOMAIN, "127.0.0.1", cluster.port, name, cluster.authority.pem)
    with open_channel(target, pytest.fail) as channel:
        yield Api(channel, FixedToken("access-1"), sleep=lambda _: None).ext


def ids(entries: Sequence[ext.AuthenticationLogEntry]) -> list[str]:
    return [entry.id for entry in entries]


def test_the_last_entries_oldest_first(
    cluster: StandIn, service: Authorized, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authlog, "_PAGE", 2)
    cluster.attempts = [attempt(number) for number in range(1, 8)]
    found = last_attempts(service, Request(), 5)
    assert ids(found) == ["auth-3", "auth-4", "auth-5", "auth-6", "auth-7"]
    limits = [(call.request.limit, call.request.before_id) for call in cluster.calls]
    assert limits == [(2, ""), (2, "auth-6"), (1, "auth-4")]
    assert len(last_attempts(service, Request(), 100)) == 7


def test_a_cluster_without_such_a_log(cluster: StandIn, service: Authorized) -> None:
    cluster.foreign = True
    with pytest.raises(ApiError, match="does not offer its authentication log"):
        last_attempts(service, Request(), 5)


def test_following_tells_each_once_and_misses_none(cluster: StandIn, service: Authorized) -> None:
    cluster.attempts = [attempt(number) for number in range(1, 4)]
    for number in (4, 5):
        cluster.live.put(attempt(number))
    cluster.live.put(RefusedError("UNAVAILABLE", "gone"))
    warnings: list[str] = []

    def sleep(_seconds: float) -> None:
        cluster.attempts.append(attempt(6))  # written while nobody listened
        cluster.live.put(attempt(7))
        cluster.live.put(RefusedError("PERMISSION_DENIED", "your Session has ended"))

    stream = follow_attempts(
        service, Request(), "auth-2", now=lambda: NOW, sleep=sleep, warn=warnings.append
    )
    assert [next(stream).id for _ in range(5)] == [f"auth-{number}" for number in range(3, 8)]
    with pytest.raises(ApiError, match="ended"):
        next(stream)
    assert [text.partition(" (")[0] for text in warnings] == [
        "the Cluster is away",
        "the Cluster is back",
    ]


def test_without_an_entry_seen_those_from_now_on_are_told(
    cluster: StandIn, service: Authorized
) -> None:
    old = attempt(1)
    old.at.FromSeconds(int(NOW) - 100)
    cluster.attempts = [old]
    cluster.live.put(attempt(2))
    cluster.live.put(RefusedError("PERMISSION_DENIED", "over"))
    stream = follow_attempts(
        service, Request(), "", now=lambda: NOW, sleep=lambda _: None, warn=pytest.fail
    )
    assert next(stream).id == "auth-2"
    with pytest.raises(ApiError):
        next(stream)
