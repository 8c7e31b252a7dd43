"""What is known of one request on its way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from octelium.replica.arrival import FrontDoor
from octelium.vigil.rules import Exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.http.exchange import RequestStream, UpstreamStream
    from octelium.http.message import Fields, UpstreamRequest
    from octelium.http.target import Target
    from octelium.policy.decision import Decision, Watch
    from octelium.vigil.configuration import Configuration
    from octelium.vigil.context import HttpRequest
    from octelium.vigil.cookie_guard import Doubt
    from octelium.vigil.plan import Plan
    from octelium.vigil.vigil import Vigil


class Course:
    """One exchange, as far as it has come.

    The parts of a `Relay` inherit it instead of holding each other: every request passes through
    all of them, and each call between them would cost.
    """

    __slots__ = (
        "_attempts",
        "_client_address",
        "_configuration",
        "_content_type",
        "_decision",
        "_doubt",
        "_ended",
        "_error",
        "_front",
        "_grpc_status",
        "_held",
        "_held_end",
        "_hurried",
        "_number",
        "_plan",
        "_received",
        "_request",
        "_sent",
        "_started",
        "_status",
        "_stream",
        "_target",
        "_trailers",
        "_upstream",
        "_upstream_request",
        "_vigil",
        "_watch",
    )

    def __init__(
        self, vigil: Vigil, plan: Plan, stream: RequestStream, client_address: str
    ) -> None:
        self._vigil = vigil
        self._plan = plan
        self._stream = stream
        self._client_address = client_address
        self._started = time.time()
        self._front = type(stream.peer.arrival) is FrontDoor
        self._target: Target | None = None
        self._request: HttpRequest | None = None
        self._decision: Decision | None = None
        self._doubt: Doubt | None = None
        """Why a cookie of the request does not count."""
        self._configuration: Configuration | None = None
        self._upstream: UpstreamStream | None = None
        self._upstream_request: UpstreamRequest | None = None
        self._watch: Watch | None = None
        self._held: list[bytes] | None = None
        """Body bytes that came while the decision was being made; None once it is made."""
        self._held_end = False
        self._hurried = False
        """Whether the body has a deadline."""
        self._trailers: Fields = ()
        self._attempts = 0
        self._received = len(stream.early)
        self._sent = 0
        self._status = 0
        self._content_type: bytes | None = None
        self._grpc_status = -1
        self._error = ""
        self._number = 0
        """Of the log record; drawn when it is written, or before that for an answer's sake."""
        self._ended = False

    def _exchange(self) -> Exchange:
        assert self._decision is not None
        assert self._target is not None
        return Exchange(
            self._stream.head,
            self._decision,
            self._client_address,
            self._target.raw_path,
            self._plan.public_host,
            self._context,
        )

    def _context(self) -> Mapping[str, Any]:
        """`ctx` for expressions in a configuration."""
        assert self._request is not None
        decision = self._decision
        assert decision is not None
        context: dict[str, Any] = {
            "request": self._request.context(),
            "service": self._plan.entry.json,
        }
        for name in ("namespace", "session", "user", "device"):
            entry = getattr(decision, name)
            if entry is not None:
                context[name] = entry.json
        if decision.groups:
            context["groups"] = [group.json for group in decision.groups]
        return context
