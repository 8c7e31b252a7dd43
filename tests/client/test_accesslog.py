from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from octelium.client import accesslog
from octelium.client.accesslog import Entry, follow_entries, last_entries
from octelium.client.api import Api, FixedToken
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.settings import Target
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.standin import DOMAIN, NOW, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.client.api import Authorized


def entry(number: int, started: float | None = None) -> core.AccessLog:
    log = core.AccessLog(kind="AccessLog")
    log.metadata.id = f"id-{number}"
    moment = NOW + number if started is None else started
    log.entry.common.started_at.FromNanoseconds(int(moment * 1e9))
    return log


@pytest.fixture
def service(cluster: StandIn) -> Iterator[Authorized]:
    cluster.new_session()
    name = f"octelium-api.{DOMAIN}"
    target = Target(DOMAIN, "127.0.0.1", cluster.port, name, cluster.authority.pem)
    with open_channel(target, pytest.fail) as channel:
        yield Api(channel, FixedToken("access-1"), sleep=lambda _: None).ext


def ids(entries: Sequence[Entry]) -> list[str]:
    return [found.id for found in entries]


def test_the_last_entries_oldest_first(
    cluster: StandIn, service: Authorized, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accesslog, "_PAGE", 2)
    cluster.log = [(entry(number), f"error {number}") for number in range(7)]
    found = last_entries(service, ext.ListAccessLogRequest(), 5)
    assert ids(found) == ["id-2", "id-3", "id-4", "id-5", "id-6"]
    assert found[0].error == "error 2"
    limits = [(call.request.limit, call.request.before_id) for call in cluster.calls]
    assert limits == [(2, ""), (2, "id-5"), (1, "id-3")]
    assert len(last_entries(service, ext.ListAccessLogRequest(), 100)) == 7


def test_one_entry_comes_explained(cluster: StandIn, service: Authorized) -> None:
    cluster.log = [(entry(1), ""), (entry(2), "")]
    (found,) = last_entries(service, ext.ListAccessLogRequest(id="id-2"), 1)
    assert (found.id, found.explanation) == ("id-2", "why id-2\n  a rule\n")
    assert {each.explanation for each in last_entries(service, ext.ListAccessLogRequest(), 9)} == {
        ""
    }


def test_following(cluster: StandIn, service: Authorized) -> None:
    cluster.log = [(entry(1), "")]
    request = ext.ListAccessLogRequest()
    seen = last_entries(service, request, 10)
    cluster.log.append((entry(2), ""))  # between the list and the stream
    cluster.live.put(entry(2))
    cluster.live.put(entry(3, NOW - 30))  # began long ago, ended now
    cluster.live.put(None)  # the connection breaks
    cluster.live.put(entry(4))
    pauses: list[float] = []
    following = follow_entries(
        service, request, seen, now=lambda: NOW, sleep=pauses.append, warn=pytest.fail
    )
    assert [next(following).id for _ in range(3)] == ["id-2", "id-3", "id-4"]
    following.close()
    assert pauses == [0.5]
    assert not any(
        call.request.HasField("from") for call in cluster.calls if "Watch" in call.method
    )


class Away:
    """The log of a Cluster that fails a few times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def call(self, _method: str, _request: Any) -> ext.ListAccessLogResponse:
        self.failures -= 1
        if self.failures >= 0:
            raise ApiError("INTERNAL", "away", "")
        return ext.ListAccessLogResponse()

    def stream(self, _method: str, _request: Any) -> Iterator[ext.ListAccessLogResponse]:
        yield ext.ListAccessLogResponse(items=[entry(1)])


def test_a_cluster_that_is_away_for_a_while() -> None:
    warnings: list[str] = []
    following = follow_entries(
        cast("Authorized", Away(3)),
        ext.ListAccessLogRequest(),
        [],
        now=lambda: NOW,
        sleep=lambda _: None,
        warn=warnings.append,
    )
    assert next(following).id == "id-1"
    following.close()
    assert warnings == [
        "the Cluster is away (Internal: away); trying until it is back",
        "the Cluster is back",
    ]


def test_only_what_is_to_be_kept(
    cluster: StandIn, service: Authorized, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accesslog, "_PAGE", 2)
    cluster.log = [(entry(number), "") for number in range(9)]

    def odd(found: Entry) -> bool:
        return int(found.id.removeprefix("id-")) % 2 == 1

    request = ext.ListAccessLogRequest()
    assert ids(last_entries(service, request, 3, odd)) == ["id-3", "id-5", "id-7"]
    assert ids(last_entries(service, request, 9, odd)) == ["id-1", "id-3", "id-5", "id-7"]


def test_a_refusal_ends_it(cluster: StandIn, service: Authorized) -> None:
    cluster.live.put(RefusedError("PERMISSION_DENIED", "no"))
    following = follow_entries(
        service,
        ext.ListAccessLogRequest(),
        [],
        now=lambda: NOW,
        sleep=lambda _: None,
        warn=pytest.fail,
    )
    with pytest.raises(ApiError, match="PermissionDenied"):
        next(following)


def test_a_cluster_without_a_log(cluster: StandIn, service: Authorized) -> None:
    cluster.foreign = True
    with pytest.raises(ApiError, match="does not offer its access log"):
        last_entries(service, ext.ListAccessLogRequest(), 1)
