"""Logging in with a browser of this computer (RFC 8252), with a code challenge (RFC 7636)."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final

from octelium.client.callback import Callback
from octelium.client.errors import ApiError, ClientError
from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.client.tokens import Exchange

SECONDS: Final = 300.0
_V1: Final = auth.ClientLoginRequestApiVersion__.V1


class LoginError(ClientError):
    """A person did not sign in, or was not let in."""


class BrowserLogin:
    """A proof that a person gives on the Cluster's login pages.

    `origin` is where they are; `show` is given their address.
    """

    def __init__(
        self, origin: str, show: Callable[[str], None], *, seconds: float = SECONDS
    ) -> None:
        self._origin = origin
        self._show = show
        self._seconds = seconds

    def tokens(self, exchange: Exchange, scopes: Sequence[str]) -> auth.SessionToken:
        """Show the address, wait for the person, make a Session.

        Raises LoginError when nobody comes, SettingsError when there is no port, ApiError.
        """
        verifier = secrets.token_bytes(32)
        challenge = hashlib.sha256(verifier).digest()
        with Callback(challenge) as callback:
            self._show(f"{self._origin}/login?octelium_req={_request(callback, challenge)}")
            answer = callback.wait(self._seconds)
            if answer is None:
                raise LoginError(
                    f"nobody signed in within {self._seconds / 60:.0f} minutes",
                    "begin again; where this computer has no browser, use --device",
                )
            try:
                made = exchange.authenticate(answer.token, scopes, verifier)
            except ApiError as error:
                answer.failed()
                if error.code != "UNAUTHENTICATED":
                    raise
                raise LoginError(
                    "the Cluster does not accept what the browser brought",
                    "it is good for one minute only: begin again",
                ) from error
            except BaseException:
                answer.failed()
                raise
            answer.succeeded(self._origin)
            return made


def _request(callback: Callback, challenge: bytes) -> str:
    request = auth.ClientLoginRequest(
        api_version=_V1,
        callback_port=callback.port,
        callback_suffix=callback.suffix,
        code_challenge=challenge,
    )
    return urlsafe_b64encode(request.SerializeToString(deterministic=True)).rstrip(b"=").decode()
