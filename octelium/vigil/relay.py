"""One request on its way: from the client through the decision to the upstream and back."""

from __future__ import annotations

import asyncio
import logging
import time
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from octelium.http.exchange import Failure, UpstreamError
from octelium.http.message import FieldBlock, Fields, MessageError, UpstreamRequest
from octelium.http.target import normalise
from octelium.policy.decision import Decision, Outcome
from octelium.replica.arrival import FrontDoor
from octelium.vigil.cookie_guard import PLANTED, endings
from octelium.vigil.cors import is_preflight
from octelium.vigil.credentials import find_credential
from octelium.vigil.errors import Unserviceable
from octelium.vigil.refusals import MARK, identified, own_fields, plain, upstream_failure
from octelium.vigil.rules import Exchange
from octelium.visibility.batch import entry_id
from octelium.visibility.record import AccessRecord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from octelium.http.exchange import RequestStream, UpstreamStream
    from octelium.http.message import Field, RequestHead, ResponseHead
    from octelium.http.target import Target
    from octelium.policy.decision import Watch
    from octelium.replica.arrival import Tunnel
    from octelium.vigil.configuration import Configuration
    from octelium.vigil.context import HttpRequest
    from octelium.vigil.cookie_guard import Doubt
    from octelium.vigil.plan import Plan
    from octelium.vigil.refusals import Answer
    from octelium.vigil.tunnel_guard import Misuse
    from octelium.vigil.vigil import Vigil
    from octelium.visibility.record import AuditSubject

_LOG = logging.getLogger(__name__)

_NO_FIELDS: Final = FieldBlock(())
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_REFUSED_METHODS: Final = frozenset({b"TRACE", b"CONNECT"})
_MAX_ATTEMPTS: Final = 3
_ANSWER_GRACE: Final = 1.0
"""Seconds that the Cluster's own Services have to answer a call whose caller lost its right."""
_BODY_SECONDS: Final = 15.0
"""What somebody without a Session has for a body: all of it towards the Cluster's own components,
each piece of it towards upstreams, until these answer."""
_FINAL: Final = frozenset(
    {
        Failure.UNREACHABLE,
        Failure.CONNECT_TIMEOUT,
        Failure.TLS,
        Failure.BUSY,
        Failure.TOO_LARGE,
    }
)
"""Failures that another attempt would only repeat."""
_STATUS: Final = {Failure.CONNECT_TIMEOUT: 504, Failure.BUSY: 503, Failure.TOO_LARGE: 413}
_RETRY_AFTER: Final = (b"retry-after", b"1")
CLIENT_GONE: Final = 499
"""Status in the log of a request whose client went away before there was an answer."""


class Relay:
    """Receives both ends of one exchange; see `octelium.http.exchange`.

    Exactly one of these ends it: a complete response, a refusal, the client's departure, a failed
    upstream, a decision that changed. Each writes the log record if somebody decided at all.
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

    # From the head to the decision.

    def start(self) -> None:
        """Check the request and ask for a decision."""
        plan, stream = self._plan, self._stream
        head = stream.head
        if plan.disabled:
            self._answer(plain(503, front=self._front))
            return
        if head.method in _REFUSED_METHODS:  # an echo would show what is injected on the way
            self._answer(plain(405, front=self._front))
            return
        try:
            target = self._target = normalise(head.target)
            token = self._token(head) if self._front and plan.public else None
        except MessageError as error:
            self._answer(plain(error.status, front=self._front))
            return
        mode = plan.mode
        if head.method == b"OPTIONS" and plan.cross_origin and is_preflight(head):
            self._answer(plan.cors.preflight(head, own_fields(front=self._front)))
            return
        request = mode.request(head, target, token, self._client_address, plan.host)
        if request is None or not plan.serves(target.wire):
            self._answer(mode.unknown(self._front))
            return
        self._request = request
        decision = self._vigil.decider.decide(plan.entry, request, stream.peer.arrival)
        if type(decision) is Decision:
            self._decided(decision)
        else:
            self._wait(decision)  # type: ignore[arg-type]  # what is not a Decision is awaitable

    def misused(self, misuse: Misuse, arrival: Tunnel) -> None:
        """Refuse what came through a tunnel and is not to be decided on."""
        self._decision = self._vigil.decider.refused(self._plan.entry, arrival)
        self._error = misuse.problem
        mark = [MARK] if misuse.status == 403 else []
        self._answer(misuse.answer(*mark, *identified(self._entry())))

    def _token(self, head: RequestHead) -> bytes | None:
        """The access token that counts. Raises MessageError for several in one place."""
        credential = find_credential(head.block)
        if credential.from_cookie:
            self._doubt = self._plan.cookies.doubt(head, credential)
            if self._doubt is not None:
                return None
        return credential.token

    def _wait(self, decision: Awaitable[Decision]) -> None:
        """Hold the body back until the decision is there."""
        self._held = []
        if not self._stream.complete:
            self._stream.pause_receiving()
        self._vigil.spawn(self._decide_later(decision), name="decision")

    async def _decide_later(self, awaitable: Awaitable[Decision]) -> None:
        try:
            decision = await awaitable
        except Exception:  # noqa: BLE001 - whatever it is, it refuses
            _LOG.exception("a decision failed")
            if not self._ended:
                self._answer(plain(500, front=self._front))
            return
        if self._ended:
            return
        try:
            self._decided(decision)
            self._stream.resume_receiving()
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            self.broken(error, 500)

    def _decided(self, decision: Decision) -> None:
        self._decision = decision
        if decision.outcome is not Outcome.ALLOWED:
            self._refuse(decision)
            return
        peer = self._stream.peer
        if peer.admitted is not None and decision.session is not None:
            admitted, peer.admitted = peer.admitted, None
            admitted()
        configuration = self._configuration = self._plan.configuration(decision)
        problem = configuration.problem or self._plan.problem
        if problem is not None:
            self._unserviceable(problem)
        elif configuration.direct is not None:
            self._answer(configuration.answer(front=self._front))
        else:
            self._forward(configuration)

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

    # To the upstream.

    def _forward(self, configuration: Configuration) -> None:
        stream, target = self._stream, self._target
        assert target is not None
        head = stream.head
        rules = configuration.request
        block: FieldBlock | None = head.block.derived.get(rules)
        endpoint = configuration.endpoint()
        authority = endpoint.authority
        wire = target.wire
        try:
            if block is None:
                block = rules.render(head.block, self._exchange)
            if configuration.host is not None or configuration.host_expression is not None:
                authority = configuration.authority(endpoint, self._context)
            if configuration.remove_prefix or configuration.add_prefix:
                wire = _rewrite(target, configuration)
        except Unserviceable as problem:
            self._unserviceable(problem)
            return
        except MessageError as error:
            self._answer(plain(error.status, front=self._front, extra=identified(self._entry())))
            return
        request = self._upstream_request = UpstreamRequest(
            head.method, wire, authority or head.host, block, head.has_body, head.upgrade
        )
        data, end = stream.early, stream.complete
        if not end:
            if self._decision is not None and self._decision.session is None:
                self._hurried = True
                stream.deadline(_BODY_SECONDS)
            if head.expect_continue and not data:
                stream.send_informational(100, _NO_FIELDS)
            self.watch()
        held, self._held = self._held, None
        self._trailers = self._passed(self._trailers)
        if held:
            data += b"".join(held)
        if self._held_end and not self._trailers:
            end = True
        self._attempts = 1
        self._vigil.running.add(self)
        if self._decision is not None and self._decision.session is None:
            self._upstream = self._vigil.anteroom.open(
                endpoint.connections,
                request,
                self,
                data,
                end,
                address=self._client_address,
                own=self._plan.managed,
            )
        else:
            self._upstream = endpoint.connections.open(request, self, data, end)
        if self._trailers:
            self._upstream.send_end(self._trailers)

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

    # RequestReceiver: the client's side.

    def request_data(self, data: bytes) -> None:
        """See `RequestReceiver`."""
        self._received += len(data)
        try:
            if self._held is not None:
                self._held.append(data)
            elif self._upstream is not None:
                if self._hurried and not self._plan.managed:
                    self._stream.deadline(_BODY_SECONDS)
                self._upstream.send_data(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def request_ended(self, trailers: Fields) -> None:
        """See `RequestReceiver`."""
        try:
            if self._held is not None:
                self._held_end = True
                self._trailers = trailers
            elif self._upstream is not None:
                self._upstream.send_end(self._passed(trailers))
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def _passed(self, trailers: Fields) -> Fields:
        """What of the client's trailers goes to the upstream."""
        configuration = self._configuration
        if not trailers or configuration is None:
            return ()
        return configuration.request.trailers(trailers, self._stream.head.block)

    def request_aborted(self, problem: str) -> None:
        """See `RequestReceiver`."""
        if not self._ended:
            self._drop_upstream()
            if not self._status:
                self._status = CLIENT_GONE
            self._error = problem
            self._finish()

    def downstream_paused(self) -> None:
        """See `RequestReceiver`."""
        if self._upstream is not None:
            self._upstream.pause_receiving()

    def downstream_resumed(self) -> None:
        """See `RequestReceiver`."""
        if self._upstream is not None:
            self._upstream.resume_receiving()

    # ResponseReceiver: the upstream's side.

    def response_informational(self, head: ResponseHead) -> None:
        """See `ResponseReceiver`."""
        if head.status == 103 and self._configuration is not None:
            rules = self._configuration.responses[self._front]
            try:
                self._stream.send_informational(103, rules.render(head, self._exchange))
            except Unserviceable as problem:
                self._drop_upstream()
                self._unserviceable(problem)
            except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
                self.broken(error, 502)

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """See `ResponseReceiver`."""
        try:
            if end:
                self._upstream = None
            assert self._configuration is not None
            stream = self._stream
            rules = self._configuration.responses[self._front]
            received = head.block
            if b"origin" in stream.head.block.index or head.status == 101:
                block = rules.render(head, self._exchange, self._extra_fields(head))
            else:
                block = rules.render(head, self._exchange)
            index = received.index
            self._status = head.status
            self._content_type = index.get(b"content-type")
            self._sent = len(data)
            if end:
                if b"grpc-status" in index:
                    self._note_grpc(received.fields)
                self._ended = True
                stream.send_head(head.status, block, data, end=True)
                self._finish()
                return
            self.watch()
            if self._hurried and not self._plan.managed:
                self._hurried = False
                stream.deadline(inf)
            stream.send_head(head.status, block, data)
            if head.status == 101:
                stream.upgrade()
        except Unserviceable as problem:
            self._drop_upstream()
            self._unserviceable(problem)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def _extra_fields(self, head: ResponseHead) -> list[Field]:
        """What this response gets in place of the upstream's own fields of the same names."""
        request = self._stream.head
        extra = self._plan.cors.fields(request, head.block.first(b"vary"))
        if head.status == 101:
            extra += [(b"Connection", b"Upgrade"), (b"Upgrade", request.upgrade or b"")]
        return extra

    def response_data(self, data: bytes) -> None:
        """See `ResponseReceiver`."""
        self._sent += len(data)
        try:
            self._stream.send_data(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def response_ended(self, trailers: Fields) -> None:
        """See `ResponseReceiver`."""
        if self._ended:
            return
        self._upstream = None
        self._ended = True
        try:
            self._note_grpc(trailers)
            assert self._configuration is not None
            self._stream.send_end(self._configuration.responses[self._front].trailers(trailers))
            self._finish()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this exchange
            self.broken(error, 502)

    def response_failed(self, error: UpstreamError) -> None:
        """See `ResponseReceiver`."""
        if self._ended:
            return
        self._upstream = None
        if self._retry(error):
            return
        self._error = str(error)
        if self._status:
            self._stream.reset()
            self._finish()
            return
        status = _STATUS.get(error.failure, 502)
        extra = self._extra()
        if error.failure is Failure.BUSY:
            extra.append(_RETRY_AFTER)
        self._fail(status, extra)

    def upstream_paused(self) -> None:
        """See `ResponseReceiver`."""
        self._stream.pause_receiving()

    def upstream_resumed(self) -> None:
        """See `ResponseReceiver`."""
        self._stream.resume_receiving()

    def _retry(self, error: UpstreamError) -> bool:
        """Send the request again if it cannot have done anything yet, or does no harm twice."""
        request = self._upstream_request
        configuration = self._configuration
        if (
            request is None
            or configuration is None
            or self._status
            or self._attempts >= _MAX_ATTEMPTS
            or not self._stream.complete
            or self._received > len(self._stream.early)
            or error.failure in _FINAL
        ):
            return False
        harmless = error.stale and request.method in _IDEMPOTENT and not request.has_body
        if not (harmless or error.untouched):
            return False
        self._attempts += 1
        fresh = self._attempts == _MAX_ATTEMPTS
        connections = configuration.endpoint().connections
        self._upstream = connections.open(request, self, self._stream.early, True, fresh=fresh)
        return True

    # Ends.

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
        _LOG.error("Service %s cannot be served: %s", self._plan.entry.name, problem)
        self._error = str(problem)
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


def _rewrite(target: Target, configuration: Configuration) -> bytes:
    """Apply the configuration's `path`: remove the prefix, then add the other.

    Raises:
        MessageError: the result would be another path once the upstream has resolved it.
    """
    path = target.raw_path
    prefix = configuration.remove_prefix
    rest = path.removeprefix(prefix)
    if not rest or rest.startswith(b"/") or prefix.endswith(b"/"):  # else another segment's start
        path = rest
    path = configuration.add_prefix + path
    if not path.startswith(b"/"):
        path = b"/" + path
    wire = target.with_path(path)
    if normalise(wire).wire != wire:
        raise MessageError("the path is not in its one form after the prefix was changed")
    return wire
