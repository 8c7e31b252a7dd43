"""Evaluates the rules of IdentityProviders and of Authenticators for `octelium.identity`.

What an expression cannot be evaluated for counts on the safe side, as `octelium.policy.rules`
tells. A Rego module may take longer than an event loop may be kept waiting for; its result is then
got from the process for them and the rules are asked again.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from octelium.identity.errors import RefusedError
from octelium.identity.provider_rules import PendingRulesError
from octelium.policy import groups as taking
from octelium.policy import rules, rules_context
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.values import REGO
from octelium.policy.rego.module import MAX_INLINE
from octelium.policy.rego.needed import (
    RegoError,
    RegoNeeded,
    RegoResults,
    RegoUnavailableError,
)
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.identity_provider import GROUPS_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octelium.identity.provider_rules import Action, Level
    from octelium.identity.verified import VerifiedIdentity
    from octelium.octovigil.rego.rounds import RegoEvaluator
    from octelium.policy.cel.values import Frame
    from octelium.policy.rego.needed import Key
    from octelium.store.reading import Reader

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_REGO_BUDGET: Final = 2.0
"""Seconds for a result, and seconds for which it can be used."""
_MOST_RESULTS: Final = 512


class LoginRules:
    """See `ProviderRules` and `AuthenticatorRules` in `octelium.identity.provider_rules`."""

    def __init__(
        self,
        resources: Reader,
        rego: RegoEvaluator | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rego` evaluates modules that take long; without it, rules that need that fail."""
        self._resources = resources
        self._rego = rego
        self._clock = clock
        self._settled: dict[Key, tuple[float, object]] = {}
        """Results, each with the instant until which it can be used."""

    def aal(self, provider: core.IdentityProvider, verified: VerifiedIdentity) -> Level:
        """The level of the first of `aalRules` that holds."""
        configured = provider.spec.aal_rules
        if not configured:
            return core.SessionStatusAuthenticationInfoAal__.AAL_UNSET
        found = self._evaluate(
            lambda frame: rules.assurance(configured, frame),
            _assertion(verified),
            _at(provider, verified.identifier),
        )
        for problem in found.problems:
            _LOG.warning("IdentityProvider %s: %s", provider.metadata.name, problem)
        return found.level

    def post_authentication(
        self,
        provider: core.IdentityProvider,
        user: core.User,
        info: core.SessionStatusAuthenticationInfo,
    ) -> None:
        """Raises RefusedError where `postAuthenticationRules` refuse the login."""
        configured = provider.spec.post_authentication_rules
        if not configured:
            return
        admission = self._evaluate(
            lambda frame: rules.login(configured, frame),
            rules_context.of_login(user, provider, info),
            _at(provider, info.identity_provider.identifier),
        )
        _require(admission, f"the IdentityProvider {provider.metadata.name}")

    def groups(self, provider: core.IdentityProvider, verified: VerifiedIdentity) -> list[str]:
        """What the expression of the Config that the IdentityProvider names results in."""
        name = provider.metadata.name
        if GROUPS_ANNOTATION not in provider.metadata.annotations:
            return []
        wanted = provider.metadata.annotations[GROUPS_ANNOTATION]
        config = self._resources.find(core.Config, name=wanted) if wanted else None
        if config is None:
            problem = f"its annotation {GROUPS_ANNOTATION} names no Config: {wanted!r}"
        else:
            try:
                expression = taking.expression_of(config)
                return taking.groups(expression, new_frame(_assertion(verified)))
            except (Invalid, taking.GroupsError) as error:
                problem = f"Config {wanted}: {error}"
        raise RefusedError(
            f"the groups of the IdentityProvider {name} cannot be taken", detail=problem
        )

    def requirement(
        self,
        config: core.ClusterConfig,
        user: core.User,
        provider: core.IdentityProvider,
        session: core.Session,
        authenticators: Iterable[core.Authenticator],
    ) -> Action:
        """What the enforcement rules of the ClusterConfig want of a Session."""
        usable = core.AuthenticatorList(items=authenticators)
        found = self._evaluate(
            lambda frame: rules.requirement(
                config.spec.authenticator, frame, available=bool(usable.items)
            ),
            rules_context.of_enforcement(user, provider, session, usable),
            user.metadata.uid,
        )
        if found.problem:
            _LOG.warning("ClusterConfig: an Authenticator is required: %s", found.problem)
        return found.action

    def post_authenticator(
        self,
        config: core.ClusterConfig,
        authenticator: core.Authenticator,
        user: core.User,
        session: core.Session,
        info: core.SessionStatusAuthenticationInfo,
    ) -> None:
        """Raises RefusedError where `postAuthenticationRules` refuse an Authenticator."""
        configured = config.spec.authenticator.post_authentication_rules
        if not configured:
            return
        admission = self._evaluate(
            lambda frame: rules.authentication(configured, frame),
            rules_context.of_authentication(authenticator, user, session, info),
            user.metadata.uid,
        )
        _require(admission, "the Cluster")

    def _evaluate(self, rule: Callable[[Frame], _T], context: dict[str, object], asker: str) -> _T:
        """What a rule comes to; `asker` is whose sign-in pays for modules that take long."""
        frame = new_frame(context)
        results = RegoResults(MAX_INLINE, asker)
        now = self._clock()
        for key in [key for key, (until, _) in self._settled.items() if until < now]:
            del self._settled[key]
        results.known.update((key, result) for key, (_, result) in self._settled.items())
        frame[REGO] = results
        try:
            return rule(frame)
        except RegoNeeded as needed:
            raise PendingRulesError(partial(self._settle, needed)) from None

    async def _settle(self, needed: RegoNeeded) -> None:
        result: object
        try:
            if self._rego is None:
                raise RegoUnavailableError("nothing here evaluates Rego modules that take long")
            result = await self._rego.evaluate(needed, time.monotonic() + _REGO_BUDGET)
        except RegoError as error:
            result = error
        while len(self._settled) >= _MOST_RESULTS:
            del self._settled[next(iter(self._settled))]
        self._settled[needed.key] = (self._clock() + _REGO_BUDGET, result)


def _at(provider: core.IdentityProvider, identifier: str) -> str:
    """Somebody, known by what an IdentityProvider calls him."""
    return f"{identifier} at the IdentityProvider {provider.metadata.name}"


def _assertion(verified: VerifiedIdentity) -> dict[str, object]:
    return rules_context.of_assertion(verified.claims, verified.assertion)


def _require(admission: rules.Admission, whose: str) -> None:
    if admission.passes:
        return
    detail = admission.problem or f"postAuthenticationRules[{admission.rule}]"
    raise RefusedError(f"a rule of {whose} refuses this", detail=detail)
