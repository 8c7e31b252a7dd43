"""The Cluster's login host: its address for browsers, and its OAuth 2.0 endpoints."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from octelium import __version__
from octelium.client.errors import (
    ApiError,
    SettingsError,
    is_unknown_authority,
    unknown_authority,
)
from octelium.client.pinning import fetch_certificate, loopback_or

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.client.settings import Target

METADATA: Final = "/.well-known/oauth-authorization-server"
_PORT: Final = 443
_SECONDS: Final = 20.0
_LOOPBACK: Final = ("localhost", "127.", "::1")


class LoginHost:
    """`https://DOMAIN`, behind the same front door as the API.

    An endpoint that was set for the API holds for it too, and so does a name in its certificate.
    """

    def __init__(self, target: Target) -> None:
        self._domain = target.domain
        self._target = replace(
            target,
            host=target.domain if target.host == target.api_name else target.host,
            tls_server_name=(
                target.domain
                if target.tls_server_name == target.api_name
                else target.tls_server_name
            ),
        )

    @property
    def origin(self) -> str:
        """Where a browser finds it."""
        port = self._target.port
        return f"https://{self._domain}" + ("" if port == _PORT else f":{port}")

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """The status and the JSON object at a path. Raises ApiError."""
        return self._fetch("GET", path, None)

    def post(self, path: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """The status and the JSON object that a form is answered with. Raises ApiError."""
        return self._fetch("POST", path, form)

    def path_of(self, url: object) -> str | None:
        """The path of an address at the Cluster's domain; None for what is none.

        The port is what the Cluster believes it to be; what forwards to it may have another one.
        """
        if not isinstance(url, str):
            return None
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts.scheme != "https" or parts.hostname != self._domain or not parts.path:
            return None
        return parts.path

    def _fetch(
        self, method: str, path: str, form: Mapping[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        import httpx

        from octelium.client.bounded import fetch_json

        host, port = loopback_or(self._target.host), self._target.port
        where = f"[{host}]" if ":" in host else host
        context, server_name = self._tls()
        try:
            with httpx.Client(
                verify=context,
                trust_env=not host.startswith(_LOOPBACK),
                timeout=_SECONDS,
                headers={"User-Agent": f"octelium-cli/{__version__}", "Accept": "application/json"},
            ) as client:
                request = client.build_request(
                    method,
                    f"https://{where}:{port}{path}",
                    data=form,
                    headers={"Host": self.origin.removeprefix("https://")},
                    extensions={"sni_hostname": server_name},
                )
                return fetch_json(client, request)
        except httpx.HTTPError as error:
            if is_unknown_authority(str(error)):
                raise unknown_authority(self.origin.removeprefix("https://"), path) from error
            raise ApiError(
                "UNAVAILABLE",
                f"cannot reach {self.origin} at {self._target.endpoint}: {error}",
                path,
                "check the endpoint (--endpoint, OCTELIUM_API_ENDPOINT) and the CA (--ca-file)",
            ) from error
        except ValueError as error:
            raise ApiError("INTERNAL", f"{self.origin}{path} answers {error}", path) from error

    def _tls(self) -> tuple[ssl.SSLContext, str]:
        authorities, server_name = self._target.ca, self._target.tls_server_name
        if self._target.insecure:
            authorities, server_name = fetch_certificate(self._target)
        given = None if authorities is None else authorities.decode("ascii", "ignore")
        try:
            context = ssl.create_default_context(cadata=given)
        except ssl.SSLError as error:
            raise SettingsError(f"the CA cannot be used: {error}", "check --ca-file") from error
        if self._target.insecure:
            # What the server shows is trusted itself, though nobody vouches for it.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context, server_name
