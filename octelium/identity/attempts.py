"""Attempts to sign in, as the authentication log remembers them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from octelium.identity.errors import AuthenticationError
from octelium.identity.sessions import Downstream
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import AlreadyExists, NotFound
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from octelium.schema.pb import meta_v1_pb2 as meta

_LEVELS = core.SessionStatusAuthenticationInfoAal__.SessionStatusAuthenticationInfoAal


class Way(Enum):
    """By what somebody signs in."""

    AUTHENTICATION_TOKEN = "authentication token"  # noqa: S105 - a name
    CLIENT_SECRET = "client secret"  # noqa: S105 - a name
    REFRESH_TOKEN = "refresh token"  # noqa: S105 - a name
    IDENTITY_PROVIDER = "identity provider"
    ASSERTION = "assertion"
    AUTHENTICATOR = "authenticator"
    PASSKEY = "passkey"
    INVITATION = "invitation"
    DEVICE_CODE = "device code"
    APPROVAL = "browser approval"
    ACCOUNT = "account"
    """What was done with Sessions and Authenticators; it signs nobody in."""


class Outcome(Enum):
    """What an attempt came to."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    """The Cluster could not do it."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt; whoever handles it fills in what becomes known on the way.

    The references say who it is about, not who has proved to be that: in a refused attempt they
    are as far as the checks came.
    """

    way: Way
    downstream: Downstream = field(default_factory=Downstream)
    operation: str = ""
    """The gRPC method (without its leading slash) or path of the request."""
    user: meta.ObjectReference | None = None
    session: meta.ObjectReference | None = None
    credential: meta.ObjectReference | None = None
    provider: meta.ObjectReference | None = None
    authenticator: meta.ObjectReference | None = None
    identifier: str = ""
    """What the IdentityProvider calls the person or workload."""
    email: str = ""
    aal: str = ""
    """Name of the authentication assurance level; empty if there is none."""
    country: str = ""
    """Code of the country that the client's address belongs to, if that was looked up."""
    outcome: Outcome = Outcome.FAILED
    code: str = ""
    """Name of the gRPC status of a refusal."""
    reason: str = ""
    """Why it was refused or failed, for administrators; or what was done, if that is not plain."""

    def concerns(
        self,
        *,
        user: core.User | None = None,
        credential: core.Credential | None = None,
        provider: core.IdentityProvider | None = None,
        authenticator: core.Authenticator | None = None,
    ) -> None:
        """Remember what takes part."""
        if user is not None:
            self.user = reference(user)
        if credential is not None:
            self.credential = reference(credential)
        if provider is not None:
            self.provider = reference(provider)
        if authenticator is not None:
            self.authenticator = reference(authenticator)

    def concerns_session(self, session: core.Session) -> None:
        """Remember a Session, its User, and how strong its authentication is."""
        self.session = reference(session)
        self.user = session.status.user_ref
        info = session.status.authentication.info
        self.aal = _LEVELS.Name(info.aal) if info.aal else ""
        self.country = info.geoip.country.code

    @classmethod
    def deed(
        cls,
        what: str,
        operation: str,
        *,
        session: core.Session | None = None,
        authenticator: core.Authenticator | None = None,
    ) -> Attempt:
        """What somebody who is signed in has done with a Session or an Authenticator."""
        attempt = cls(way=Way.ACCOUNT, operation=operation)
        if authenticator is not None:
            attempt.concerns(authenticator=authenticator)
            attempt.user = authenticator.status.user_ref
        if session is not None:
            attempt.concerns_session(session)
        attempt.did(what)
        return attempt

    def succeeded(self, session: core.Session) -> None:
        """It authenticated `session`, which is stored."""
        self.outcome = Outcome.SUCCEEDED
        self.concerns_session(session)
        if session.spec.state == core.SessionSpecState__.PENDING:
            name = session.metadata.name
            self.reason = f"waits for approval: octeliumctl update session {name} --approve"

    def did(self, what: str) -> None:
        """It succeeded in something that begins no Session of use."""
        self.outcome, self.reason = Outcome.SUCCEEDED, what

    def failed(self, error: BaseException) -> None:
        """It ended with `error`."""
        if isinstance(error, AuthenticationError):
            self.outcome, self.code, self.reason = Outcome.REFUSED, error.code, error.for_log
        elif isinstance(error, ValueError):  # of what the caller sent
            self.outcome, self.code, self.reason = Outcome.REFUSED, "INVALID_ARGUMENT", str(error)
        elif isinstance(error, AlreadyExists | NotFound):
            self.outcome, self.code, self.reason = Outcome.REFUSED, error.code, str(error)
        else:
            self.outcome, self.code = Outcome.FAILED, "INTERNAL"
            self.reason = f"{type(error).__name__}: {error}"


class AttemptLog(Protocol):
    """Where attempts are kept; must neither block for long nor raise."""

    def record(self, attempt: Attempt) -> None:
        """Keep an attempt that has ended."""


class NoAttemptLog:
    """Keeps nothing."""

    def record(self, attempt: Attempt) -> None:
        """Do nothing."""
