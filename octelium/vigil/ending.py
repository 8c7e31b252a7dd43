"""How an exchange ends: answers of Octelium's own, rights that end, and the record of it all."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from octelium.policy.decision import Outcome
from octelium.vigil.cookie_guard import PLANTED, endings
from octelium.vigil.course import Course
from octelium.vigil.errors import NotReady
from octelium.vigil.refusals import MARK, identified, not_ready, plain, upstream_failure
from octelium.visibility.batch import entry_id
from octelium.visibility.record import AccessRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.http.message import Field, Fields
    from octelium.policy.decision import Decision
    from octelium.vigil.errors import Unserviceable
    from octelium.vigil.refusals import Answer
    from octelium.visibility.record import AuditSubject

_LOG = logging.getLogger(__name__)

_ANSWER_GRACE: Final = 1.0
"""Seconds that the Cluster's own Services have to answer a call whose caller lost its right."""


class Ending(Course):
    """The ends of an exchange that neither side brings about alone."""

    __slots__ = ()

    # The right to it, or its Service, ends.

    @property
    def service_uid(self) -> str:
        """Uid of the Service that is asked."""
        return self._plan.entry.uid

    def watch(self) -> None:
        """Have this exchange ended when it is not allowed any more."""
        if self._watch is None and not self._ended:
            assert self._decision is not None
            assert self._request is not None
            self._watch = self._vigil.decider.watch(
                self._decision,
                self._plan.entry,
                self._request,
                self._stream.peer.arrival,
                self._revoked,
            )

    def _revoked(self, decision: Decision) -> None:
        if self._plan.entry.managed_type:
            # A call to the API may itself be the change that ends its caller's right. What was
            # allowed and is done already deserves its answer.
            loop = asyncio.get_running_loop()
            loop.call_later(_ANSWER_GRACE, self._end_revoked, decision)
        else:
            self._end_revoked(decision)

    def _end_revoked(self, decision: Decision) -> None:
        if self._ended:
            return
        self._decision = decision
        self._drop_upstream()
        if self._status:
            self._error = "access ended while the stream was open"
            self._stream.reset()
            self._finish()
        else:
            self._refuse(decision)

    def disable(self) -> None:
        """End this exchange because its Service was disabled."""
        if self._ended:
            return
        self._error = "the Service was disabled"
        self._drop_upstream()
        if self._status:
            self._stream.reset()
            self._finish()
        else:
            self._answer(plain(503, front=self._front))

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.reset()

    # Answers of Octelium's own.

    def _cors_fields(self) -> list[tuple[bytes, bytes]]:
        return self._plan.cors.fields(self._stream.head) if self._plan.cross_origin else []

    def _entry(self) -> bytes:
        """The id that the log entry of this exchange will have; empty if there will be none."""
        if self._decision is None or self._decision.audit is None:
            return b""
        vigil = self._vigil
        if not self._number:
            self._number = next(vigil.numbers)
        return entry_id(vigil.sink.prefix, self._number).encode()

    def _extra(self) -> list[Field]:
        """What an answer in place of the upstream's carries."""
        return [*self._cors_fields(), *identified(self._entry())]

    def _refuse(self, decision: Decision) -> None:
        assert self._target is not None
        if decision.error:
            self._error = decision.error
            if decision.outcome is Outcome.ERROR:
                _LOG.error("Service %s: %s", self._plan.entry.name, decision.error)
        plan, doubt = self._plan, self._doubt
        site = plan.sites[self._front]
        head, extra = self._stream.head, self._cors_fields()
        if doubt is not None and decision.outcome is Outcome.UNAUTHENTICATED:
            self._error = doubt.problem
            if doubt is PLANTED:
                extra += endings(head, self._vigil.environment.domain)
            else:
                extra += [MARK, *identified(self._entry())]
                self._answer(plan.mode.explain(doubt.status, doubt.text, self._front, extra))
                return
        self._answer(plan.mode.refuse(decision, head, self._target, site, extra, self._entry()))

    def _unserviceable(self, problem: Unserviceable) -> None:
        self._error = str(problem)
        if isinstance(problem, NotReady):  # an ordinary state, which the access log tells of
            decision, name = self._decision, self._plan.entry.name
            is_known = decision is not None and decision.session is not None
            head, extra, entry = self._stream.head, self._extra(), self._entry()
            self._answer(
                not_ready(
                    problem, name, head, front=self._front, known=is_known, extra=extra, entry=entry
                )
            )
            return
        _LOG.error("Service %s cannot be served: %s", self._plan.entry.name, problem)
        self._fail(problem.status, self._extra())

    def _fail(self, status: int, extra: Sequence[Field]) -> None:
        head, name = self._stream.head, self._plan.entry.name
        entry = self._entry()
        self._answer(
            upstream_failure(status, name, head, front=self._front, extra=extra, entry=entry)
        )

    def broken(self, error: Exception, status: int) -> None:
        """End this exchange after an error that nobody foresaw: one line in the log, no more."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = "" if place is None else f"{Path(place.tb_frame.f_code.co_filename).name}:"
        line = 0 if place is None else place.tb_lineno
        problem = f"unexpected {type(error).__name__} at {where}{line}"
        _LOG.error("Service %s: an exchange broke: %s: %s", self._plan.entry.name, problem, error)
        if self._stream.receiver is None:
            return
        self._drop_upstream()
        self._error = problem
        if self._status:
            self._stream.reset()
            self._finish()
        else:
            self._answer(plain(status, front=self._front, extra=identified(self._entry())))

    def _answer(self, answer: Answer) -> None:
        """Send an answer of Octelium's own and be done."""
        self._ended = True
        self._status = answer.status
        self._sent = len(answer.body)
        self._content_type = None
        self._stream.send_head(answer.status, answer.block, answer.body, end=True)
        self._finish()

    # The record.

    def _note_grpc(self, fields: Fields) -> None:
        for name, value in fields:
            if name == b"grpc-status" and value.isdigit() and len(value) < 4:
                self._grpc_status = int(value)

    def _finish(self) -> None:
        """Write the record and let go of everything."""
        self._ended = True
        self._stream.receiver = None  # a cycle would wait for the garbage collector
        vigil = self._vigil
        vigil.running.discard(self)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        vigil.served += 1
        decision = self._decision
        if decision is None or decision.audit is None:
            return
        subject: AuditSubject = decision.audit  # type: ignore[assignment]  # made by our factory
        stream = self._stream
        head = stream.head
        target = self._target
        field = head.block.index.get
        wire, referer = head.target if target is None else target.wire, field(b"referer")
        if not self._plan.keeps_queries:
            wire, referer = wire.partition(b"?")[0], referer and referer.partition(b"?")[0]
        vigil.sink.append(
            AccessRecord(
                self._number or next(vigil.numbers),
                self._started,
                time.time() - self._started,
                subject,
                head.method,
                wire,
                self._status,
                head.version,
                self._received,
                self._sent,
                head.host,
                self._client_address,
                field(b"user-agent"),
                referer,
                field(b"origin"),
                self._content_type,
                stream.peer.number,
                self._error,
                self._grpc_status,
            )
        )
