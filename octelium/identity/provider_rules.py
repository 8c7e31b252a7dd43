"""What the rules of an IdentityProvider and of Authenticators say; others evaluate them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from octelium.identity.verified import VerifiedIdentity
    from octelium.store.transaction import Transaction

    Level: TypeAlias = (
        core.SessionStatusAuthenticationInfoAal__.SessionStatusAuthenticationInfoAal.ValueType
    )
    Action: TypeAlias = (
        core.SessionStatusAuthenticatorAction__.SessionStatusAuthenticatorAction.ValueType
    )


class PendingRulesError(Exception):
    """Rules need a result that takes long: `await settle()`, then ask them again."""

    def __init__(self, settle: Callable[[], Awaitable[None]]) -> None:
        super().__init__("the rules need a result that is not there yet")
        self.settle = settle


class ProviderRules(Protocol):
    """The rules of an IdentityProvider. Each method may take some milliseconds.

    They may raise PendingRulesError, which passes through whatever has called them.
    """

    def aal(self, provider: core.IdentityProvider, verified: VerifiedIdentity) -> Level:
        """The authentication assurance level that `aalRules` give an assertion."""

    def post_authentication(
        self,
        provider: core.IdentityProvider,
        user: core.User,
        info: core.SessionStatusAuthenticationInfo,
    ) -> None:
        """Apply `postAuthenticationRules`.

        Raises:
            RefusedError: a rule refuses the login, or failed.
        """

    def groups(self, provider: core.IdentityProvider, verified: VerifiedIdentity) -> list[str]:
        """The groups that the assertion names, if the IdentityProvider is told to take them.

        Raises:
            RefusedError: it is told so, and they cannot be found out.
        """


class AuthenticatorRules(Protocol):
    """The rules of the ClusterConfig about Authenticators."""

    def requirement(
        self,
        config: core.ClusterConfig,
        user: core.User,
        provider: core.IdentityProvider,
        session: core.Session,
        authenticators: Iterable[core.Authenticator],
    ) -> Action:
        """What a Session must do with Authenticators before it is of use.

        `authenticators` are those that it can use. Rules that fail require one.
        """

    def post_authenticator(
        self,
        config: core.ClusterConfig,
        authenticator: core.Authenticator,
        user: core.User,
        session: core.Session,
        info: core.SessionStatusAuthenticationInfo,
    ) -> None:
        """Apply the `postAuthenticationRules` of Authenticators.

        Raises:
            RefusedError: a rule refuses the authentication, or failed.
        """


class Enforcement(Protocol):
    """Decides what a Session that was just authenticated must do with Authenticators."""

    def action(
        self,
        tx: Transaction,
        config: core.ClusterConfig,
        user: core.User,
        provider: core.IdentityProvider,
        session: core.Session,
    ) -> Action:
        """The `authenticatorAction` of the Session, whose authentication is in place already."""


class NoEnforcement:
    """Where no Authenticators are offered, none is asked for."""

    def action(
        self,
        tx: Transaction,  # noqa: ARG002 - of the Protocol
        config: core.ClusterConfig,  # noqa: ARG002
        user: core.User,  # noqa: ARG002
        provider: core.IdentityProvider,  # noqa: ARG002
        session: core.Session,  # noqa: ARG002
    ) -> Action:
        """Nothing."""
        return core.SessionStatusAuthenticatorAction__.AUTHENTICATOR_ACTION_UNSET
