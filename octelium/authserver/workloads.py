"""Workloads that prove who they are with a token of the platform that they run on.

https://octelium.com/docs/octelium/latest/management/core/identity-provider/overview: OIDC
identity tokens, by the keys that an issuer publishes or that the IdentityProvider holds itself.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from octelium.authserver.keys_of_issuers import KeySource
from octelium.authserver.providers.fetch import FetchError
from octelium.identity import assertions
from octelium.identity.assertions import Expected, UnprovenError
from octelium.identity.attempts import Attempt, Way
from octelium.identity.errors import UnauthenticatedError
from octelium.identity.lookup import is_provider_barred
from octelium.identity.verified import VerifiedIdentity
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.authserver.keys_of_issuers import KeysOfIssuers
    from octelium.authserver.site import Site
    from octelium.identity.admission import IssuedTokens
    from octelium.identity.authentication import Authentication
    from octelium.identity.sessions import Downstream, SessionType
    from octelium.store.reading import Reader

LONGEST: Final = 5000
"""Characters of an assertion."""
_TOKEN: Final = core.IdentityProviderStatusType__.OIDC_IDENTITY_TOKEN


class TooLongError(UnauthenticatedError):
    """An assertion that is not looked at."""

    code = "INVALID_ARGUMENT"
    public = True


class Workloads:
    """Verifies the assertions of workloads, and begins their Sessions."""

    def __init__(
        self, site: Site, resources: Reader, authentication: Authentication, keys: KeysOfIssuers
    ) -> None:
        self._site = site
        self._resources = resources
        self._authentication = authentication
        self._keys = keys

    async def sign_in(
        self,
        assertion: str,
        *,
        provider_name: str = "",
        provider_uid: str = "",
        scopes: Sequence[str] | None = None,
        downstream: Downstream,
        operation: str,
        session_type: SessionType | None = None,
    ) -> IssuedTokens:
        """Begin a Session; its type is by the User-Agent unless one is given.

        An assertion can be used until it expires, as often as wanted: platforms hand out the same
        one for a while. It leads to the same Session each time.

        Raises:
            AuthenticationError: nobody is signed in.
            ScopeError: `scopes` cannot be read.
        """
        attempt = Attempt(way=Way.ASSERTION, downstream=downstream, operation=operation)
        try:
            verified = await self.verify(assertion, provider_name, provider_uid, attempt)
        except UnauthenticatedError as error:
            self._authentication.refuse(attempt, error)
            raise
        return await self._authentication.with_assertion(
            verified,
            scopes=scopes,
            downstream=downstream,
            operation=operation,
            session_type=session_type,
        )

    async def verify(
        self,
        assertion: str,
        provider_name: str = "",
        provider_uid: str = "",
        attempt: Attempt | None = None,
    ) -> VerifiedIdentity:
        """Whom an assertion is about, at the given IdentityProvider or at that of its issuer.

        Raises:
            UnauthenticatedError: it proves nothing; the text is for the Cluster's log.
        """
        if len(assertion) > LONGEST:
            raise TooLongError(f"assertion: is longer than {LONGEST} characters")
        try:
            unverified = assertions.read(assertion)
            provider = self._provider(provider_name, provider_uid, unverified.issuer)
            if attempt is not None:
                attempt.concerns(provider=provider)
            spec = provider.spec.oidc_identity_token
            claims = await self._keys.verify(
                unverified,
                KeySource(spec.issuer_url, spec.jwks_url, spec.jwks_content),
                Expected(_issuer(provider), spec.audience or self._site.issuer),
            )
        except (UnprovenError, FetchError) as error:
            raise UnauthenticatedError(str(error)) from error
        signed, _, _ = assertion.rpartition(".")  # signatures of ECDSA can be written otherwise
        return VerifiedIdentity(
            provider=provider,
            identifier=claims["sub"],
            claims=claims,
            token_hash=hashlib.sha256(signed.encode()).hexdigest(),
        )

    def _provider(self, name: str, uid: str, issuer: str) -> core.IdentityProvider:
        """A copy of the IdentityProvider that is to vouch."""
        if name or uid:
            given = {"name": name} if name else {"uid": uid}
            named = self._resources.find(core.IdentityProvider, **given)
            if (
                named is None
                or (uid and named.metadata.uid != uid)
                or named.status.type != _TOKEN
                or is_provider_barred(named)
            ):
                raise UnauthenticatedError(
                    f"no IdentityProvider {name or uid!r} of workloads exists and is enabled"
                )
            return named
        known = [
            provider.metadata.uid
            for provider in self._resources.peek_all(core.IdentityProvider)
            if provider.status.type == _TOKEN
            and not is_provider_barred(provider)
            and assertions.same_issuer(_issuer(provider), issuer)
        ]
        if not known:
            raise UnauthenticatedError(f"no IdentityProvider is for the issuer {issuer[:200]!r}")
        if len(known) > 1:
            raise UnauthenticatedError(
                f"several IdentityProviders are for the issuer {issuer[:200]!r}; name one"
            )
        return self._resources.get(core.IdentityProvider, uid=known[0])


def _issuer(provider: core.IdentityProvider) -> str:
    spec = provider.spec.oidc_identity_token
    return spec.issuer_url or spec.issuer
