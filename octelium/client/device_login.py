"""Logging in with a browser elsewhere, by a code that a person types there (RFC 8628)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from octelium.client.browser_login import LoginError
from octelium.client.errors import ApiError
from octelium.client.login_host import METADATA
from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from octelium.client.login_host import LoginHost
    from octelium.client.tokens import Exchange, Proof

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_ID: Final = "octelium-cli"
_INTERVAL: Final = 5
_SLOWER: Final = 5
_LONGEST_INTERVAL: Final = 60
_LONGEST_WAIT: Final = 1800
_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "access_denied": ("the login was denied", "begin again if that was not meant"),
    "expired_token": ("nobody entered the code in time", "begin again"),
    "invalid_scope": ("the Cluster does not know such scopes", "check --scope"),
}


@dataclass(frozen=True, slots=True)
class Code:
    """What a person is told: the code, the page to enter it on, and the same as one address."""

    user_code: str
    page: str
    complete: str
    seconds: int


@dataclass(frozen=True, slots=True)
class _Machine:
    code: Code
    device_code: str = field(repr=False)
    token_path: str
    interval: int


class DeviceLogin:
    """A proof that a person gives in a browser elsewhere.

    `show` is given the code. `otherwise` is for Clusters that do not offer such logins.
    """

    def __init__(
        self,
        host: LoginHost,
        show: Callable[[Code], None],
        *,
        otherwise: Proof | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._show = show
        self._otherwise = otherwise
        self._sleep = sleep

    def tokens(self, exchange: Exchange, scopes: Sequence[str]) -> auth.SessionToken:
        """Show the code, wait for the person, make a Session. Raises LoginError, ApiError."""
        paths = self._paths()
        if paths is not None:
            machine = self._begin(*paths, scopes)
            self._show(machine.code)
            return self._wait(machine)
        if self._otherwise is not None:
            return self._otherwise.tokens(exchange, scopes)
        raise LoginError(
            f"{self._host.origin} offers no login by code",
            "log in with a browser (--web) or with a token (--auth-token)",
        )

    def _paths(self) -> tuple[str, str] | None:
        """Those of the device authorization endpoint and of the token endpoint (RFC 8414)."""
        try:
            status, metadata = self._host.get(METADATA)
        except ApiError as error:
            if error.code == "UNAVAILABLE":
                raise
            return None  # a Cluster without such a document
        if status != 200 or GRANT not in (metadata.get("grant_types_supported") or ()):
            return None
        device = self._host.path_of(metadata.get("device_authorization_endpoint"))
        token = self._host.path_of(metadata.get("token_endpoint"))
        return None if device is None or token is None else (device, token)

    def _begin(self, device_path: str, token_path: str, scopes: Sequence[str]) -> _Machine:
        form = {"client_id": CLIENT_ID}
        if scopes:
            form["scope"] = " ".join(scopes)
        status, body = self._host.post(device_path, form)
        if status != 200:
            raise _refusal(status, body)
        try:
            page = _text(body, "verification_uri")
            return _Machine(
                code=Code(
                    _text(body, "user_code"),
                    page,
                    _text({"verification_uri_complete": page, **body}, "verification_uri_complete"),
                    min(_number(body, "expires_in", None), _LONGEST_WAIT),
                ),
                device_code=_text(body, "device_code"),
                token_path=token_path,
                interval=_number(body, "interval", _INTERVAL),
            )
        except ValueError as error:
            raise _strange(error) from error

    def _wait(self, machine: _Machine) -> auth.SessionToken:
        form = {
            "grant_type": GRANT,
            "device_code": machine.device_code,
            "client_id": CLIENT_ID,
        }
        interval, waited = min(machine.interval, _LONGEST_INTERVAL), 0
        while waited < machine.code.seconds:
            self._sleep(interval)
            waited += interval
            try:
                status, body = self._host.post(machine.token_path, form)
            except ApiError as error:
                if error.code != "UNAVAILABLE":
                    raise
                # Section 3.5: where the server cannot be reached, ask less and less often.
                interval = min(interval * 2, _LONGEST_INTERVAL)
                continue
            if status == 200:
                return _tokens(body)
            reason = body.get("error")
            if reason == "slow_down":
                interval = min(interval + _SLOWER, _LONGEST_INTERVAL)
            elif reason != "authorization_pending":
                raise _refusal(status, body)
        raise LoginError(*_REASONS["expired_token"])


def _tokens(body: Mapping[str, Any]) -> auth.SessionToken:
    try:
        if _text(body, "token_type").lower() != "bearer":
            raise ValueError("the token is no bearer token")  # noqa: TRY301
        return auth.SessionToken(
            access_token=_text(body, "access_token"),
            refresh_token=_text(body, "refresh_token"),
            expires_in=_number(body, "expires_in", None),
            refresh_token_expires_in=_number(body, "refresh_token_expires_in", None),
        )
    except ValueError as error:
        raise _strange(error) from error


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is missing")
    return value


def _number(body: Mapping[str, Any], key: str, default: int | None) -> int:
    value = body.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 40:
        raise ValueError(f"{key} is no number of seconds")
    return value


def _refusal(status: int, body: Mapping[str, Any]) -> LoginError:
    code = body.get("error")
    if isinstance(code, str) and code in _REASONS:
        return LoginError(*_REASONS[code])
    said = body.get("error_description") or code or f"status {status}"
    return LoginError(f"the Cluster refuses the login: {said}")


def _strange(error: ValueError) -> LoginError:
    return LoginError(f"the Cluster's answer cannot be used: {error}")
