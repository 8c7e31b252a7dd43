"""What the decision point answers, and the face by which the enforcement points ask it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from octelium.policy.request import Request
    from octelium.replica.arrival import Arrival, Tunnel
    from octelium.replica.replica import (
        DeviceEntry,
        GroupEntry,
        NamespaceEntry,
        ServiceEntry,
        SessionEntry,
        UserEntry,
    )
    from octelium.schema.pb import core_v1_pb2 as core


class Outcome(Enum):
    """How an enforcement point has to go on."""

    ALLOWED = "allowed"
    UNAUTHENTICATED = "unauthenticated"
    """Nobody is known to have sent the request: 401, gRPC status 16."""
    DENIED = "denied"
    """Known, or anonymous under policies, and refused: 403, gRPC status 7."""
    BAD_REQUEST = "bad request"
    """Policies cannot be sure what the upstream would see: 400."""
    ERROR = "error"
    """The decision failed and therefore refuses: 500, gRPC status 13."""


class ReasonType(IntEnum):
    """`AccessLog.Entry.Common.Reason.Type` of the official schema."""

    TYPE_UNKNOWN_REASON = 0
    SESSION_NOT_ACTIVE = 1
    DEVICE_NOT_ACTIVE = 2
    USER_DEACTIVATED = 3
    SCOPE_UNAUTHORIZED = 4
    POLICY_MATCH = 5
    NO_POLICY_MATCH = 6
    SESSION_CLIENT_TYPE_INVALID = 7
    SESSION_LOCKED = 8
    USER_LOCKED = 9
    DEVICE_LOCKED = 10
    AUTHENTICATOR_AUTHENTICATION_REQUIRED = 11
    AUTHENTICATOR_REGISTRATION_REQUIRED = 12
    SESSION_EXPIRED = 13
    ACCESS_TOKEN_EXPIRED = 14


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision came out as it did; `details` are in the official JSON form."""

    type: ReasonType
    details: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, object]:
        """The JSON form of `AccessLog.Entry.Common.Reason`; defaults are left out."""
        form: dict[str, object] = {}
        if self.type:
            form["type"] = self.type.name
        if self.details:
            form["details"] = dict(self.details)
        return form


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The answer to one question; shared by all requests for which it is the same.

    The entries are those of the replica that the decision was made on; `session`, `user` and
    `device` are None for anonymous and unauthenticated requests.
    """

    outcome: Outcome
    reason: Reason
    service: ServiceEntry
    namespace: NamespaceEntry | None = None
    session: SessionEntry | None = None
    user: UserEntry | None = None
    device: DeviceEntry | None = None
    groups: tuple[GroupEntry, ...] = ()
    config: core.ServiceSpecConfig | None = None
    """The effective configuration of an allowed request; None if the Service has none at all."""
    config_name: str = "default"
    """Name of the selected configuration; empty for one that an expression computed."""
    expires: float = inf
    """Unix seconds until which the decision may be used again for the same question."""
    error: str = ""
    """For operators, with `Outcome.ERROR` and `Outcome.BAD_REQUEST`: what failed and where."""
    audit: object | None = None
    """What access-log entries share; made by the factory that the composition root injects."""

    def audited(self, factory: Callable[[Decision], object]) -> Decision:
        """This decision with its `audit`; for whoever makes decisions, before anyone has it."""
        object.__setattr__(self, "audit", factory(self))
        return self

    @property
    def allowed(self) -> bool:
        """Whether the request may go on."""
        return self.outcome is Outcome.ALLOWED


class Watch(Protocol):
    """An open stream whose decision is kept up to date."""

    def cancel(self) -> None:
        """Stop watching; harmless when done already."""


class Decider(Protocol):
    """The decision point, in this process or elsewhere."""

    def decide(
        self, service: ServiceEntry, request: Request, arrival: Arrival
    ) -> Decision | Awaitable[Decision]:
        """Decide on one request. Never raises: what fails comes out as `Outcome.ERROR`."""

    def refused(self, service: ServiceEntry, arrival: Tunnel) -> Decision:
        """The refusal of a request from a tunnel that nobody decides on: whose it was, for the
        access log. Never raises.
        """

    def watch(
        self,
        decision: Decision,
        service: ServiceEntry,
        request: Request,
        arrival: Arrival,
        callback: Callable[[Decision], None],
    ) -> Watch:
        """Tell an open stream when it must end.

        `decision` is the one that let it in. When a changed resource or the passing of time turns
        it into a refusal, `callback` gets that refusal, once. `request` must stay readable until
        the watch is cancelled.
        """
