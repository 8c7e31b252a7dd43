"""Why something with Authenticators is refused, beside `octelium.identity.errors`."""

from __future__ import annotations

from octelium.identity.errors import AuthenticationError, RefusedError


class WrongResponseError(RefusedError):
    """A response that does not answer the challenge. `detail` says why, for the log alone."""

    def __init__(self, detail: str) -> None:
        super().__init__("the response of the Authenticator is not accepted", detail=detail)


class CloneError(WrongResponseError):
    """The Authenticator counts backwards, so there are two of it."""


class RateLimitError(AuthenticationError):
    """An Authenticator was used too often lately."""

    code = "INVALID_ARGUMENT"


class ProofNeededError(RefusedError):
    """Something that only who has just proved to be there, with an Authenticator, may do."""


class InvalidRequestError(AuthenticationError):
    """A request that nothing can be done with as it is; the text says why."""

    code = "INVALID_ARGUMENT"


class NotOfferedError(AuthenticationError):
    """A type of Authenticator that this Cluster does not offer."""

    code = "UNIMPLEMENTED"
