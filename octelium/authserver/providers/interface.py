"""What every kind of web IdentityProvider does: send a browser away, and judge its return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from octelium.identity.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.identity.verified import VerifiedIdentity
    from octelium.schema.pb import core_v1_pb2 as core

CALLBACK_PATH = "/callback"


class ProviderError(UnauthenticatedError):
    """The provider proved nothing: it refused, or what came from it is wrong.

    The text is for the log of the Cluster; it holds no secret.
    """


class ProviderDeniedError(ProviderError):
    """The provider says that the person declined, or may not sign in."""


class ProviderUnavailableError(ProviderError):
    """The provider cannot be used: it is unreachable, does not keep to its protocol, or its
    IdentityProvider is configured in a way that cannot work.
    """


@dataclass(frozen=True, slots=True)
class LoginContext:
    """One login at a provider."""

    provider: core.IdentityProvider
    state: str
    """What comes back with the browser: unguessable, for one use, bound to its cookie."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a login goes on."""

    url: str
    """Where to send the browser."""
    private: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What `finish` needs; nobody but the server may get to see it."""


class WebProvider(Protocol):
    """One protocol by which people sign in."""

    async def begin(self, login: LoginContext) -> Begun:
        """Start a login.

        Raises:
            ProviderUnavailableError: none can begin there at present.
        """

    async def finish(
        self, login: LoginContext, parameters: Mapping[str, str], private: Mapping[str, str]
    ) -> VerifiedIdentity:
        """Who signed in, every check of the protocol passed.

        `parameters` are those of the request that the browser came back with, each given once.
        That `state` (`RelayState`) is the one of the browser's login and is used for the first
        time, the caller has checked; `private` is from `begin`, of the same login.

        Raises:
            ProviderError: nobody has proved to be anybody.
        """
