"""One request on its way: from the client through the decision to the upstream and back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from octelium.http.message import FieldBlock, MessageError, UpstreamRequest
from octelium.http.target import normalise
from octelium.policy.decision import Decision, Outcome
from octelium.vigil.client_side import ClientSide
from octelium.vigil.cors import is_preflight
from octelium.vigil.credentials import find_credential
from octelium.vigil.errors import Unserviceable
from octelium.vigil.refusals import MARK, identified, own_fields, plain
from octelium.vigil.upstream_side import UpstreamSide

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from octelium.http.message import RequestHead
    from octelium.http.target import Target
    from octelium.replica.arrival import Tunnel
    from octelium.vigil.configuration import Configuration
    from octelium.vigil.tunnel_guard import Misuse

_LOG = logging.getLogger(__name__)

_NO_FIELDS: Final = FieldBlock(())
_REFUSED_METHODS: Final = frozenset({b"TRACE", b"CONNECT"})


class Relay(ClientSide, UpstreamSide):
    """Receives both ends of one exchange; see `octelium.http.exchange`.

    Exactly one of these ends it: a complete response, a refusal, the client's departure, a failed
    upstream, a decision that changed. Each writes the log record if somebody decided at all.
    """

    __slots__ = ()

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
                self._hurry()
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
