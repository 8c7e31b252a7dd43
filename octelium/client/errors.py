"""What can go wrong between a client and a Cluster, in words for the person at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientError(Exception):
    """Base of all errors of this package. `remedy` says what to do about it (may be empty)."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return self.problem


class SettingsError(ClientError):
    """A setting of the connection that is missing or makes no sense."""


class StateError(ClientError):
    """Remembered logins that cannot be read, written or locked."""


class NotLoggedIn(ClientError):  # noqa: N818  (a state)
    """No token for this Cluster, and nothing to get one with."""


def unknown_authority(host: str, method: str) -> ApiError:
    """The server's certificate is of an authority that this computer does not trust."""
    return ApiError(
        "UNAVAILABLE",
        f"the certificate of {host} is of an authority this computer does not trust",
        method,
        "get the Cluster's ca.pem (its login host offers it at /ca.pem; on the Cluster's machine "
        "it is in the data directory) and give --ca-file ca.pem",
    )


def is_unknown_authority(cause: str) -> bool:
    """Whether OpenSSL's words mean that nobody trusted vouches for a certificate."""
    said = cause.lower().replace("-", " ")
    return "self signed certificate" in said or "local issuer certificate" in said


class ApiError(ClientError):
    """A call that the Cluster refused or that did not reach it.

    `code` is the name of the gRPC status (`NOT_FOUND`), `method` the full path of the method,
    `trailers` holds the binary metadata that came with the status.
    """

    def __init__(
        self,
        code: str,
        message: str,
        method: str,
        remedy: str = "",
        trailers: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__(message or code, remedy)
        self.trailers = trailers or {}
        self.code = code
        self.message = message
        self.method = method

    def __str__(self) -> str:
        name = "".join(part.capitalize() for part in self.code.split("_"))
        return f"{name}: {self.message}" if self.message else name

    @property
    def own_reason(self) -> str:
        """Why the Cluster lets the Session do nothing at all, such as that it waits for approval.

        Empty for other errors, and where the Cluster does not tell.
        """
        told = self.message.startswith(_UNAUTHORIZED) and self.code == "PERMISSION_DENIED"
        return self.message.removeprefix(_UNAUTHORIZED) if told else ""


_UNAUTHORIZED = "Octelium: Unauthorized: "
