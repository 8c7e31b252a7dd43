"""Why an authentication is refused.

The text of an error is for the Cluster's own log. A caller learns it only where `public` says so,
which is where it has proved already that it holds a Credential or a Session; everyone else gets
one answer, whatever the reason. `code` is the name of the gRPC status that a caller gets.
"""

from __future__ import annotations

from typing import ClassVar


class AuthenticationError(Exception):
    """Base of all refusals; never raised itself.

    `detail` is for the log alone, whatever `public` says.
    """

    code: ClassVar[str] = "UNAUTHENTICATED"
    public: ClassVar[bool] = True

    def __init__(self, message: str = "", *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail

    @property
    def for_log(self) -> str:
        """All that is known of the refusal."""
        return f"{self}: {self.detail}" if self.detail else str(self)

    @property
    def answer(self) -> str:
        """What the caller may read."""
        return str(self) if self.public else "Unauthenticated User"


class UnauthenticatedError(AuthenticationError):
    """A token or secret that is not genuine, not current, expired, spent, or of another type."""

    public = False


class ReusedTokenError(UnauthenticatedError):
    """A refresh token that newer ones have replaced a while ago; its Session has ended."""


class UnknownUserError(UnauthenticatedError):
    """The User of a genuine Credential or Session does not exist."""


class RefusedError(AuthenticationError):
    """The User may not authenticate at all, or not in this way."""

    code = "PERMISSION_DENIED"


class DisabledUserError(RefusedError):
    """The User is disabled or locked; only who has proved to be that User is told."""


class SessionLimitError(RefusedError):
    """The User has as many Sessions as it may have."""


class SessionRefusedError(RefusedError):
    """The Session that would be authenticated again is rejected or locked, or was changed."""


class TooEarlyError(AuthenticationError):
    """The Session was refreshed so often lately that it must keep the tokens it has."""

    code = "ALREADY_EXISTS"


class CredentialUnusableError(AuthenticationError):
    """A Credential for which no token can be generated."""

    code = "INVALID_ARGUMENT"
