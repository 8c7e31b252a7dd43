"""What a verified identity leads to: a browser's Session, or a workload's.

https://octelium.com/docs/octelium/latest/management/core/identity-provider/overview. Each method
runs within the transaction that stores the Session, so that rules, look-up, limits and the write
see one state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from google.protobuf.struct_pb2 import Struct

from octelium.identity import admission, assertion_sessions, lookup, sessions
from octelium.identity.errors import RefusedError, UnauthenticatedError
from octelium.identity.sessions import Beginning
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.identity_provider import GROUPS_ANNOTATION
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.identity.attempts import Attempt
    from octelium.identity.provider_rules import Enforcement, ProviderRules
    from octelium.identity.sessions import Downstream, Locate, SessionType
    from octelium.identity.tokens import TokenClaims
    from octelium.identity.verified import VerifiedIdentity
    from octelium.store.transaction import Transaction

EXT: Final = "identityProvider"
"""Key in `session.status.ext` of what a login's assertion told: `{name, groups}`."""
_IDENTITY_PROVIDER: Final = core.SessionStatusAuthenticationInfoType__.IDENTITY_PROVIDER
_CLIENTLESS: Final = core.SessionStatusType__.CLIENTLESS
_LONGEST_EMAIL: Final = 320
_LONGEST_URL: Final = 2048


@dataclass(frozen=True, slots=True)
class ProviderLogins:
    """Logins through IdentityProviders."""

    rules: ProviderRules
    enforcement: Enforcement
    locate: Locate

    def web(
        self,
        tx: Transaction,
        verified: VerifiedIdentity,
        previous: TokenClaims | None,
        attempt: Attempt,
        now: int,
    ) -> core.Session:
        """The browser's Session of a person.

        `previous` is the refresh token that the browser has. A Session of the same User that began
        with the same IdentityProvider is authenticated again; one that began otherwise ends, and a
        new one begins.

        Raises:
            AuthenticationError: the person cannot sign in in this way.
        """
        verified, user, config = self._admit(tx, verified, attempt)
        provider = verified.provider
        if not lookup.is_web(provider):
            raise RefusedError(f"nobody signs in by browser at {provider.metadata.name}")
        info = self._info(verified, attempt.downstream, config)
        self.rules.post_authentication(provider, user, info)
        groups = self._groups(verified, attempt)
        session = _previous_session(tx, previous, user, provider, now)
        if session is None:
            beginning = Beginning(user=user, type=_CLIENTLESS, info=info, is_browser=True)
            session = admission.open_session(tx, beginning, config, now)
        else:
            sessions.renew(session, info, now)
        keep_groups(session, provider, groups)
        session.status.authenticator_action = self.enforcement.action(
            tx, config, user, provider, session
        )
        return tx.update(session)

    def workload(
        self,
        tx: Transaction,
        verified: VerifiedIdentity,
        scopes: Sequence[core.Scope],
        session_type: SessionType | None,
        attempt: Attempt,
        now: int,
    ) -> core.Session:
        """A Session of a workload; its type is that of its User-Agent unless one is given.

        It is the one that the same assertion has begun, or a new one, for which the oldest of the
        same IdentityProvider ends where the User has as many as it may have.

        Raises:
            AuthenticationError: the workload cannot sign in in this way.
        """
        verified, user, config = self._admit(tx, verified, attempt)
        provider = verified.provider
        if provider.status.type != core.IdentityProviderStatusType__.OIDC_IDENTITY_TOKEN:
            raise RefusedError(f"no workload signs in at {provider.metadata.name}")
        info = self._info(verified, attempt.downstream, config)
        self.rules.post_authentication(provider, user, info)
        groups = self._groups(verified, attempt)
        chosen = session_type or sessions.type_for(attempt.downstream.user_agent)
        beginning = Beginning(user=user, type=chosen, info=info, scopes=scopes)
        token_hash = verified.token_hash
        session = assertion_sessions.again(tx, token_hash, beginning, now)
        if session is None:
            ended = assertion_sessions.make_room(tx, beginning, config, now)
            if ended is not None:
                attempt.reason = f"in place of {ended.metadata.name}, its oldest Session"
            session = admission.open_session(tx, beginning, config, now)
            if token_hash:
                session.metadata.system_labels[assertion_sessions.LABEL] = token_hash
        keep_groups(session, provider, groups)
        return tx.update(session)

    def _admit(
        self, tx: Transaction, verified: VerifiedIdentity, attempt: Attempt
    ) -> tuple[VerifiedIdentity, core.User, core.ClusterConfig]:
        provider = lookup.provider_of(tx, verified)
        current = replace(verified, provider=provider)
        user = lookup.user_of(tx, current)
        attempt.concerns(user=user)
        return current, user, admission.cluster_config(tx)

    def _info(
        self, verified: VerifiedIdentity, downstream: Downstream, config: core.ClusterConfig
    ) -> core.SessionStatusAuthenticationInfo:
        provider = verified.provider
        info = core.SessionStatusAuthenticationInfo(type=_IDENTITY_PROVIDER)
        info.aal = self.rules.aal(provider, verified)
        used = info.identity_provider
        used.identity_provider_ref.CopyFrom(reference(provider))
        used.type = provider.status.type
        used.identifier = verified.identifier
        if len(verified.email) <= _LONGEST_EMAIL and verified.email.isprintable():
            used.email = verified.email
        picture = verified.picture_url
        if len(picture) <= _LONGEST_URL and picture.startswith("https://") and picture.isascii():
            used.pic_url = picture
        sessions.describe_downstream(info, downstream, config, self.locate)
        return info

    def _groups(self, verified: VerifiedIdentity, attempt: Attempt) -> list[str] | None:
        """None if the IdentityProvider is not told to take any."""
        provider = verified.provider
        if GROUPS_ANNOTATION not in provider.metadata.annotations:
            return None
        groups = self.rules.groups(provider, verified)
        if not groups and "groups" not in verified.claims:
            attempt.reason = "no groups: the provider told no claim 'groups'"
        elif not groups:
            attempt.reason = "no groups: the Config takes none of what the provider told"
        return groups


def keep_groups(
    session: core.Session, provider: core.IdentityProvider, groups: Sequence[str] | None
) -> None:
    """Have a Session hold the groups of its last assertion, and none of earlier ones."""
    ext = session.status.ext
    if EXT in ext:
        del ext[EXT]
    if groups is not None:
        told = Struct()
        told.update({"name": provider.metadata.name, "groups": list(groups)})
        ext[EXT].CopyFrom(told)


def _previous_session(
    tx: Transaction,
    claims: TokenClaims | None,
    user: core.User,
    provider: core.IdentityProvider,
    now: int,
) -> core.Session | None:
    """The Session of a browser's refresh token, if it can be authenticated again in this way."""
    if claims is None:
        return None
    try:
        session = admission.session_of_token(tx, claims, now)
    except UnauthenticatedError:  # the browser comes with an old cookie
        return None
    status = session.status
    if not status.is_browser or status.user_ref.uid != user.metadata.uid:
        return None
    began = status.initial_authentication.info.identity_provider.identity_provider_ref.uid
    if began != provider.metadata.uid:
        tx.delete("Session", session.metadata.uid)
        return None
    return session
