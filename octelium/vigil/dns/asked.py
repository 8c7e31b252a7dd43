"""One question of a client, from its bytes to the answer and the entry in the log."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from octelium.policy.decision import Decision, Outcome
from octelium.policy.request import DictRequest
from octelium.vigil.dns.answers import UNREACHABLE, Question
from octelium.vigil.dns.names import ANY, minimal
from octelium.vigil.dns.wire import (
    IN,
    REFUSED,
    SERVFAIL,
    TCP_SIZE,
    Answer,
    assemble,
    labels_of,
    text_name,
)
from octelium.vigil.errors import NotReady, Unserviceable
from octelium.visibility.dns import type_name
from octelium.visibility.record import AccessRecord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.replica.arrival import Arrival
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.dns.limits import Allowance
    from octelium.vigil.dns.resolver import Zone
    from octelium.vigil.dns.server import Dns
    from octelium.vigil.dns.wire import Query
    from octelium.visibility.record import AuditSubject

_LOG = logging.getLogger(__name__)

_REFUSED: Final = Answer(REFUSED)
_FAILED: Final = Answer(SERVFAIL)
_META: Final = range(128, ANY)
_OPT: Final = 41
"""Types that are not looked up: transfers of zones, keys of transactions (RFC 6895 §3.1)."""
_CATCH_UP: Final = 2.0


class Asked:
    """A question on its way. `reply(bytes)` takes the answer, of at most `limit` bytes.

    Exactly one answer is given; an error in between is a failure for the client.
    """

    __slots__ = (
        "_allowance", "_answered", "_arrival", "_connection", "_decision", "_dns", "_error",
        "_limit", "_place", "_query", "_reply", "_request", "_service", "_started",
    )  # fmt: skip

    def __init__(
        self,
        dns: Dns,
        service: ServiceEntry,
        arrival: Arrival,
        query: Query,
        allowance: Allowance,
        reply: Callable[[bytes], None],
        *,
        stream: bool,
        place: str,
        connection: int,
    ) -> None:
        self._dns = dns
        self._service = service
        self._arrival = arrival
        self._query = query
        self._allowance = allowance
        self._reply = reply
        self._limit = TCP_SIZE if stream else query.size
        self._place = place
        self._connection = connection
        self._started = time.time()
        self._request: DictRequest | None = None
        self._decision: Decision | None = None
        self._error = ""
        self._answered = False

    def begin(self) -> None:
        """Answer at once if that can be; else go on in a task."""
        freshness = self._dns.freshness
        if freshness is not None and not freshness.up_to_date():
            self._later(self._catch_up())
        else:
            self._decide()

    # --- the decision

    async def _catch_up(self) -> None:
        freshness = self._dns.freshness
        assert freshness is not None
        if await freshness.catch_up(_CATCH_UP):
            self._decide()
        else:
            self._answer(_FAILED)

    def _decide(self) -> None:
        dns, query = self._dns, self._query
        service = dns.replica.services.get(self._service.uid)
        if service is None:
            self._answer(_REFUSED)
            return
        self._service = service
        if service.is_disabled:
            self._answer(_FAILED)
            return
        fields = {"name": text_name(labels_of(query.name)), "typeID": query.type}
        self._request = request = DictRequest({"dns": fields}, client_address=self._arrival.address)
        decision = dns.decider.decide(service, request, self._arrival)
        if type(decision) is Decision:
            self._decided(decision)
        else:
            self._later(self._await(decision))  # type: ignore[arg-type]  # what is no Decision is awaitable

    async def _await(self, decision: Awaitable[Decision]) -> None:
        self._decided(await decision)

    def _decided(self, decision: Decision) -> None:
        self._decision = decision
        if decision.outcome is not Outcome.ALLOWED:
            self._error = decision.error
            if decision.outcome is Outcome.ERROR:
                _LOG.error("Service %s: %s", self._service.name, decision.error)
            self._answer(_FAILED if decision.outcome is Outcome.ERROR else _REFUSED)
            return
        query = self._query
        if query.dns_class != IN or query.type in _META or query.type in (0, _OPT):
            self._answer(_REFUSED)
            return
        names = self._dns.names_of(self._service)
        answer = None if names is None else names.find(query.name, query.type)
        if answer is not None:
            self._answer(answer)
        elif query.type == ANY:
            self._answer(minimal(authoritative=False))
        else:
            self._forward(decision)

    # --- elsewhere

    def _forward(self, decision: Decision) -> None:
        query = self._query
        try:
            zone = self._dns.zone(self._service, decision, query.name)
        except Unserviceable as problem:
            if not isinstance(problem, NotReady):
                _LOG.error("Service %s cannot be served: %s", self._service.name, problem)
            self._error = str(problem)
            self._answer(UNREACHABLE)
            return
        question = Question(query.name, query.type, query.dnssec, query.unchecked)
        kept = self._dns.resolver.kept(zone, question)
        if kept is not None:
            self._answer(kept)
        elif self._dns.limits.may_wait(self._allowance):
            self._later(self._resolve(zone, question))
        else:
            self._error = "too many questions to other resolvers"
            self._answer(_REFUSED)

    async def _resolve(self, zone: Zone, question: Question) -> None:
        try:
            answer = await self._dns.resolver.resolve(zone, question)
        finally:
            self._dns.limits.done(self._allowance)
        if answer.rcode == SERVFAIL:
            self._error = "no server gave an answer that can be used"
        self._answer(answer)

    # --- ends

    def _later(self, rest: Awaitable[None]) -> None:
        self._dns.spawn(self._guarded(rest), name="dns answer")

    async def _guarded(self, rest: Awaitable[None]) -> None:
        try:
            await rest
        except Exception:  # noqa: BLE001 - whatever it is, it fails this question alone
            _LOG.exception("a question to Service %s failed", self._service.name)
            self._error = "unexpected, see the log"
            self._answer(_FAILED)

    def broken(self) -> None:
        """Something unexpected happened at the beginning."""
        self._error = "unexpected, see the log"
        self._answer(_FAILED)

    def _answer(self, answer: Answer) -> None:
        if self._answered:
            return
        self._answered = True
        message = assemble(self._query, answer, self._limit)
        self._reply(message)
        self._dns.answered += 1
        decision = self._decision
        if decision is not None and decision.audit is not None:
            self._log(decision.audit, answer, len(message))  # type: ignore[arg-type]  # made by our factory

    def _log(self, subject: AuditSubject, answer: Answer, size: int) -> None:
        dns, allowance, query = self._dns, self._allowance, self._query
        if not dns.limits.may_log(allowance):
            allowance.unlogged += 1
            return
        error = self._error
        if allowance.unlogged:
            more = f"{allowance.unlogged} questions of this Session before are not logged"
            error = f"{error}; {more}" if error else more
            allowance.unlogged = 0
        assert self._request is not None
        dns.sink.append(
            AccessRecord(
                next(dns.numbers),
                self._started,
                time.time() - self._started,
                subject,
                type_name(query.type).encode(),
                self._request.context()["dns"]["name"].encode(),
                answer.rcode,
                0,
                len(query.question),
                size,
                self._place.encode(),
                self._arrival.address,
                None,
                None,
                None,
                answer.text.encode() or None,
                self._connection,
                error,
            )
        )
