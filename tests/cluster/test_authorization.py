from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.rpc import Call
from octelium.cluster.authorization import API_SERVICE, OperationAuthorizer
from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.replica.arrival import Tunnel
from octelium.replica.replica import Replica

if TYPE_CHECKING:
    from octelium.policy.request import Request

METHOD = "/octelium.api.main.core.v1.MainService/CreateUser"


class Recorder:
    """A decision point that says what it was asked."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.asked: list[tuple[Any, Request, Any]] = []

    def decide(self, service: Any, request: Request, arrival: Any) -> Decision:
        self.asked.append((service, request, arrival))
        return Decision(self.outcome, Reason(ReasonType.TYPE_UNKNOWN_REASON), service)

    def refused(self, *_: Any) -> Any:
        raise AssertionError("an operation comes through no tunnel")

    def watch(self, *_: Any) -> Any:
        raise AssertionError("an operation is no stream")


@pytest.fixture
def replica() -> Replica:
    made = Replica()
    made.service_by_name[API_SERVICE] = "the API"  # type: ignore[assignment]  # passed on only
    return made


@pytest.mark.parametrize("outcome", Outcome)
async def test_an_operation_is_decided_as_the_call_that_it_stands_for(
    replica: Replica, outcome: Outcome
) -> None:
    decider = Recorder(outcome)
    call = Call(path="/octelium.ext.v1.MainService/Apply", session_uid="s-1", client_address="::1")
    assert await OperationAuthorizer(replica, decider)(call, METHOD) is (outcome is Outcome.ALLOWED)
    ((service, request, arrival),) = decider.asked
    assert service == "the API"
    assert arrival == Tunnel("s-1", "::1")
    assert request.read(("grpc", "serviceFullName")) == "octelium.api.main.core.v1.MainService"
    assert request.read(("grpc", "package")) == "octelium.api.main.core.v1"
    assert request.read(("grpc", "service")) == "MainService"
    assert request.read(("grpc", "method")) == "CreateUser"
    assert request.token is None


async def test_without_a_session_or_the_service_it_is_refused(replica: Replica) -> None:
    decider = Recorder(Outcome.ALLOWED)
    assert not await OperationAuthorizer(replica, decider)(Call(path="/x"), METHOD)
    call = Call(path="/x", session_uid="s-1")
    assert not await OperationAuthorizer(Replica(), decider)(call, METHOD)
    assert decider.asked == []
