"""The decision point: who asks, may they, and with which configuration.

https://octelium.com/docs/octelium/latest/overview/how-octelium-works describes the parts of
Octelium. In order: a Service without identity, or the identity of the request; what must hold of
Session, User and Device; scopes; Policies; dynamic configuration. Whatever fails on the way
refuses.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from octelium.identity.tokens import TokenType
from octelium.octovigil.audit import audit_subject
from octelium.octovigil.compilation import CompilationNeeded, Compilations
from octelium.octovigil.memo import DEFAULT_LIMIT, Memo
from octelium.octovigil.planner import Planner
from octelium.octovigil.rego.rounds import MAX_ROUNDS, obtain
from octelium.octovigil.watch import Later, Watcher
from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.policy.rego.module import MAX_INLINE, resolve
from octelium.policy.rego.needed import RegoError, RegoNeeded, RegoResults
from octelium.replica.arrival import Tunnel
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from octelium.identity.tokens import PublicKey, TokenClaims
    from octelium.octovigil.plan import Plan
    from octelium.octovigil.rego.rounds import RegoEvaluator
    from octelium.octovigil.watch import Decided, StreamWatch
    from octelium.policy.rego.needed import Resolver
    from octelium.policy.request import Request
    from octelium.replica.arrival import Arrival
    from octelium.replica.replica import Replica, ServiceEntry, SessionEntry

_LOG = logging.getLogger(__name__)

_GONE: Final = "the Service does not exist any more"

_WITH_HEADERS: Final = frozenset(
    int(mode)
    for mode in (
        core.ServiceSpecMode__.HTTP,
        core.ServiceSpecMode__.WEB,
        core.ServiceSpecMode__.GRPC,
        core.ServiceSpecMode__.KUBERNETES,
        core.ServiceSpecMode__.RDP_WEB,
        core.ServiceSpecMode__.MCP,
        core.ServiceSpecMode__.LLM,
    )
)
"""Modes whose requests can carry an access token."""


class Verifier(Protocol):
    """Verifies access tokens; `octelium.identity.tokens.Verifier` does."""

    def verify(self, token: bytes | str, token_type: TokenType) -> TokenClaims | None:
        """What a genuine, unexpired token says; else None."""

    def replace_keys(self, keys: Mapping[bytes, PublicKey]) -> None:
        """Verify with `keys` from here on."""


class Octovigil:
    """Decides on the resources of a replica. Implements `octelium.policy.decision.Decider`.

    Everything happens in the thread of the event loop. `clock` gives Unix seconds. `memo_limit` is
    about how many bytes remembered decisions may take. `rego` evaluates modules that take long;
    without it those fail.
    """

    def __init__(
        self,
        replica: Replica,
        verifier: Verifier,
        clock: Callable[[], float] = time.time,
        audit_factory: Callable[[Decision], object] = audit_subject,
        *,
        memo_limit: int = DEFAULT_LIMIT,
        rego: RegoEvaluator | None = None,
    ) -> None:
        self._replica = replica
        self._verifier = verifier
        self._clock = clock
        self._audit_factory = audit_factory
        self._planner = Planner(replica, audit_factory)
        self._revision = replica.revision
        self.memo = Memo(memo_limit)
        self._plans = self.memo.plans
        self._rego = rego
        self._compilations = Compilations()
        self._watcher = Watcher(self._decide_again, self._failed, self._compilations, clock)
        verifier.replace_keys(replica.verification_keys)
        replica.listeners.append(self._changed)

    def close(self) -> None:
        """Stop following the replica."""
        self._replica.listeners.remove(self._changed)
        self._compilations.close()
        self.memo.clear()

    def decide(
        self,
        service: ServiceEntry,
        request: Request,
        arrival: Arrival,
        *,
        rego: RegoResults | None = None,
        at_once: bool = False,
    ) -> Decision | Awaitable[Decision]:
        """Decide on one request. Never raises: what fails comes out as `Outcome.ERROR`.

        The decision has to be awaited if a Rego module, or compiling the Policies, takes long. When
        that is done, everything is decided anew: the resources may have changed meanwhile. `rego`
        is for that. With `at_once` everything is compiled that has to be.
        """
        try:
            replica = self._replica
            if self._revision != replica.revision:
                self._forget_everything()
            current = replica.services.get(service.uid)
            if current is None:
                return self._failed(service, _GONE)
            now = self._clock()
            session = None
            if not current.is_anonymous:
                session = self._identify(current, request, arrival, now)
            plan = self._plans.get((current.uid, "" if session is None else session.uid))
            if (
                plan is None
                or plan.parties.service is not current
                or plan.parties.session is not session
                or now >= plan.deadline
            ):
                plan = self._plan(current, session, now, at_once=at_once)
            return plan.decide(request, now, rego)
        except CompilationNeeded as needed:
            if rego is not None:
                raise
            return self._compiled(service, needed, partial(self.decide, service, request, arrival))
        except RegoNeeded as needed:
            if rego is not None:
                raise
            return self._later(service, needed, partial(self.decide, service, request, arrival))
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            _LOG.exception("a decision on Service %s failed", service.name)
            return self._failed(service, f"unexpected {type(error).__name__}, see the log")

    def refused(self, service: ServiceEntry, arrival: Tunnel) -> Decision:
        """The refusal of a request from a tunnel that nobody decides on. Never raises."""
        replica = self._replica
        session = replica.sessions.get(arrival.session_uid)
        decision = Decision(
            Outcome.DENIED,
            Reason(ReasonType.TYPE_UNKNOWN_REASON),
            service,
            replica.namespaces.get(service.namespace_uid),
            session,
            None if session is None else replica.users.get(session.user_uid),
            None if session is None else replica.devices.get(session.device_uid),
        )
        return self._audited(decision)

    def settle(
        self,
        service: ServiceEntry,
        request: Request,
        arrival: Arrival,
        resolver: Resolver = resolve,
    ) -> Decision:
        """As `decide`, but wait for it: `resolver` gets the results of modules that take long."""
        results = RegoResults(MAX_INLINE)
        try:
            for _ in range(MAX_ROUNDS):
                try:
                    return _made(self.decide(service, request, arrival, rego=results, at_once=True))
                except RegoNeeded as needed:
                    resolver(needed)
                    results = needed.results
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            return self._failed_later(service, error)
        return self._failed(service, f"it takes more than {MAX_ROUNDS} evaluations of Rego modules")

    def watch(
        self,
        decision: Decision,
        service: ServiceEntry,
        request: Request,
        arrival: Arrival,  # noqa: ARG002 - the identity is the Session's that was let in
        callback: Callable[[Decision], None],
    ) -> StreamWatch:
        """Tell an open stream when it must end; see `Decider.watch`. Needs a running event loop."""
        if self._revision != self._replica.revision:
            self._forget_everything()
        session = decision.session
        uid = "" if session is None else session.uid
        plan = self._plans.get((service.uid, uid))
        holds = decision.allowed and plan is not None and plan.stands_by(decision)
        return self._watcher.watch(
            service,
            uid,
            request,
            callback,
            asker=request.client_address if session is None else session.user_uid,
            decided=(decision, plan) if holds else None,
        )

    # --- identity

    def _identify(
        self, service: ServiceEntry, request: Request, arrival: Arrival, now: float
    ) -> SessionEntry | None:
        """The Session that a request belongs to, or None if there is none that is usable.

        A tunnel tells the Session itself, and no token counts there. At the front door a token
        counts for public Services; only the current one of its Session does.
        """
        if type(arrival) is Tunnel:
            session = self._replica.sessions.get(arrival.session_uid)
        else:
            token = request.token
            if not token or not service.is_public or service.mode not in _WITH_HEADERS:
                return None
            claims = self._verifier.verify(token, TokenType.ACCESS)
            if claims is None or claims.expires_at <= now:
                return None
            session = self._replica.sessions.get(claims.subject)
            if session is not None and session.token_id != claims.token_id:
                return None
        if session is None or session.expires_at <= now:
            return None
        return session

    # --- plans

    def _plan(
        self, service: ServiceEntry, session: SessionEntry | None, now: float, *, at_once: bool
    ) -> Plan:
        """The plan for current entries, remembered or made now.

        Raises:
            CompilationNeeded: so much is to be compiled that it should not be done `at_once`.
        """
        plan = self._plans.get((service.uid, "" if session is None else session.uid))
        if (
            plan is not None
            and plan.parties.service is service
            and plan.parties.session is session
            and now < plan.deadline
        ):
            return plan
        if service.is_anonymous:
            made = self._planner.anonymous(service, now, at_once=at_once)
        elif session is None:
            made = self._planner.unknown(service)
        else:
            made = self._planner.known(service, session, now, at_once=at_once)
        self.memo.put(made)
        if plan is not None:
            self._watcher.dropped((plan,))
        return made

    def _decide_again(
        self, service: ServiceEntry, session_uid: str, request: Request
    ) -> Decided | Later:
        """The decision on an open stream, and the plan that it comes from if that is current.

        Raises:
            CompilationNeeded: so much is to be compiled first that it should not be done at once.
        """
        attempt = partial(self._attempt_again, service, session_uid, request)
        try:
            return attempt(None)
        except RegoNeeded as needed:
            current = self._replica.services.get(service.uid)
            anonymous = current is not None and current.is_anonymous
            plan = self._plans.get((service.uid, "" if anonymous else session_uid))
            return Later(plan, partial(self._later_again, service, needed, attempt))

    def _attempt_again(
        self,
        service: ServiceEntry,
        session_uid: str,
        request: Request,
        rego: RegoResults | None,
    ) -> Decided:
        try:
            if self._revision != self._replica.revision:
                self._forget_everything()
            current = self._replica.services.get(service.uid)
            if current is None:
                return self._failed(service, _GONE), None
            now = self._clock()
            session = None
            if session_uid and not current.is_anonymous:
                session = self._replica.sessions.get(session_uid)
            plan = self._plan(current, session, now, at_once=False)
            return plan.decide(request, now, rego), plan
        except (CompilationNeeded, RegoNeeded):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            _LOG.exception("a decision on a stream of Service %s failed", service.name)
            problem = f"unexpected {type(error).__name__}, see the log"
            return self._failed(service, problem), None

    # --- what takes long

    async def _compiled(
        self,
        service: ServiceEntry,
        needed: CompilationNeeded,
        attempt: Callable[[], Decision | Awaitable[Decision]],
    ) -> Decision:
        """The decision once everything is compiled that it needs."""
        try:
            await self._compilations.finish(needed)
            made = attempt()
            return made if isinstance(made, Decision) else await made
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            return self._failed_later(service, error)

    async def _later(
        self,
        service: ServiceEntry,
        needed: RegoNeeded,
        attempt: Callable[..., Decision | Awaitable[Decision]],
    ) -> Decision:
        """The decision once the results are there that it asks for."""
        try:
            return await obtain(self._rego, needed, lambda results: _made(attempt(rego=results)))
        except CompilationNeeded as compilation:
            return await self._compiled(service, compilation, attempt)
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            return self._failed_later(service, error)

    async def _later_again(
        self, service: ServiceEntry, needed: RegoNeeded, attempt: Callable[[RegoResults], Decided]
    ) -> Decided:
        """As `_later`, for an open stream. Raises CompilationNeeded."""
        try:
            return await obtain(self._rego, needed, attempt)
        except CompilationNeeded:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            return self._failed_later(service, error), None

    def _failed_later(self, service: ServiceEntry, error: Exception) -> Decision:
        if isinstance(error, RegoError):
            return self._failed(service, str(error))
        _LOG.error("a decision on Service %s failed", service.name, exc_info=error)
        return self._failed(service, f"unexpected {type(error).__name__}, see the log")

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        """A commit reached the replica: drop what was made of the resources that it changed."""
        self._revision = self._replica.revision
        for kind, uid in changed:
            self._planner.forget(kind, uid)
            if kind == "VerificationKey":
                self._verifier.replace_keys(self._replica.verification_keys)
        self._watcher.changed(self.memo.invalidate(changed))

    def _forget_everything(self) -> None:
        """The replica went on without telling: nothing that was made of it can be trusted."""
        self._revision = self._replica.revision
        self._verifier.replace_keys(self._replica.verification_keys)
        self._watcher.changed(self.memo.clear())

    def _failed(self, service: ServiceEntry, problem: str) -> Decision:
        reason = Reason(ReasonType.TYPE_UNKNOWN_REASON)
        return self._audited(Decision(Outcome.ERROR, reason, service, error=problem))

    def _audited(self, refusal: Decision) -> Decision:
        try:
            return refusal.audited(self._audit_factory)
        except Exception:  # noqa: BLE001 - the refusal stands, logged or not
            _LOG.exception("no audit subject for Service %s", refusal.service.name)
            return refusal


def _made(decision: Decision | Awaitable[Decision]) -> Decision:
    """A decision that was made with results at hand, which need not be awaited."""
    assert isinstance(decision, Decision)
    return decision
