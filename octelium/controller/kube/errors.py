"""What the API server answers when it does not do what it is asked, by what is to be done then.

Kubernetes, "API conventions", "HTTP status codes".
"""

from __future__ import annotations

MAX_MESSAGE = 512
"""Characters of the server's explanation that are kept."""


class KubeError(Exception):
    """A call failed. `code` is the HTTP status, 0 if there was no answer."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message[:MAX_MESSAGE])
        self.code = code


class BusyError(KubeError):
    """No answer, or one that says "later" (429, 5xx): to be tried again after a while.

    `retry_after` is the seconds that the server asks for, 0 if it does not say.
    """

    def __init__(self, message: str, code: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message, code)
        self.retry_after = retry_after


class ConflictError(KubeError):
    """409: somebody else changed the object, or a precondition does not hold. Look again."""


class ExpiredError(KubeError):
    """410: the resource version is too old to go on from. List again."""


class AbsentError(KubeError):
    """404 of an object, or of the namespace that it belongs to."""


class RefusedError(KubeError):
    """The server does not want it (400, 401, 403, 422 …): only somebody's change can help."""


def error_of(code: int, message: str, retry_after: float = 0.0) -> KubeError:
    """The error that an HTTP status stands for."""
    if code == 404:
        return AbsentError(message, code)
    if code == 409:
        return ConflictError(message, code)
    if code == 410:
        return ExpiredError(message, code)
    if code in (408, 425, 429) or code >= 500 or code < 400:
        return BusyError(message, code, retry_after)
    return RefusedError(message, code)
