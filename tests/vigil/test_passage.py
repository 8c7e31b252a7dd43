"""What streams and flows have in common; see `test_stream` and `test_flow` for what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.replica.arrival import Tunnel
from octelium.vigil.errors import Unserviceable
from octelium.vigil.passage import Passage
from octelium.visibility.record import AuditSubject

if TYPE_CHECKING:
    from octelium.vigil.served import Host
    from tests.vigil.world import World

ANN = "127.65.0.7"


class Pipe(Passage):
    """A passage through which nothing passes."""

    def __init__(self, here: World) -> None:
        super().__init__(here.vigil, here.entry(), Tunnel("uid-alice", ANN), "127.64.0.16:5432", 7)
        self.problems: list[str] = []

    def begin(self, *, logged: bool = True) -> None:
        subject = AuditSubject("TCP", allowed=True, authenticated=True, reason={})
        self._vigil.running.add(self)
        self._begin(
            Decision(
                Outcome.ALLOWED,
                Reason(ReasonType.POLICY_MATCH),
                self._service,
                audit=subject if logged else None,
            )
        )

    def served_by(self, host: Any) -> None:
        self._served_by(host)

    def _fail(self, problem: str) -> None:
        self.problems.append(problem)
        self._finish(problem)

    def _revoked(self, decision: Decision) -> None:
        self._decision = decision
        self._fail(decision.outcome.name)

    def _counts(self) -> tuple[int, int]:
        return 3, 4


class Serving:
    """Counts what is given back."""

    def __init__(self) -> None:
        self.released: list[Host] = []

    def release(self, host: Host) -> None:
        self.released.append(host)


class Server:
    def __init__(self) -> None:
        self.lost: set[Any] = set()


async def test_it_is_recorded_at_its_start_and_its_end(here: World) -> None:
    pipe = Pipe(here)
    pipe.begin()
    assert [one.method for one in here.sink.records] == [b"START"]
    assert len(here.decider.watches) == 1
    pipe.watch()
    assert len(here.decider.watches) == 1
    pipe.disable()
    start, end = here.sink.records
    assert (end.method, end.error) == (b"END", "the Service was disabled")
    assert start.error == ""
    for one in (start, end):
        assert (one.host, one.client_address, one.connection) == (b"127.64.0.16:5432", ANN, 7)
        assert (one.request_bytes, one.response_bytes) == (3, 4)
    assert not here.decider.watches
    assert not here.vigil.running
    assert here.vigil.served == 1


async def test_what_did_not_begin_has_no_end(here: World) -> None:
    pipe = Pipe(here)
    pipe.disable()
    assert here.sink.records == []
    assert here.vigil.served == 1


async def test_what_nobody_wants_to_know_is_not_recorded(here: World) -> None:
    pipe = Pipe(here)
    pipe.begin(logged=False)
    pipe.disable()
    assert here.sink.records == []


async def test_it_ends_with_its_right(here: World) -> None:
    pipe = Pipe(here)
    pipe.begin()
    assert pipe.service_uid == here.entry().uid
    here.decider.revoke(here.entry(), Outcome.DENIED)
    assert pipe.problems == ["DENIED"]
    assert not here.decider.watches


async def test_it_ends_with_the_session_that_serves_it(here: World) -> None:
    serving, server = Serving(), Server()
    here.environment.served = cast("Any", serving)
    pipe = Pipe(here)
    pipe.begin()
    pipe.served_by(server)
    (lost,) = server.lost
    lost()
    assert pipe.problems == ["the Session that serves the upstream is gone"]
    assert serving.released == [cast("Any", server)]
    assert not server.lost


async def test_without_a_private_network_nobody_serves(here: World) -> None:
    with pytest.raises(Unserviceable, match="not offered by this version"):
        Pipe(here)._served()
