"""Browsers that call the API with gRPC-Web: their Session is in cookies, not in metadata.

A cookie comes along whoever made the browser send the request. So it counts only if a page of the
Cluster did, as the browser's `Origin` says (https://fetch.spec.whatwg.org/#origin-header).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

from octelium.apiserver.rpc import ApiError

if TYPE_CHECKING:
    from octelium.apiserver.rpc import Call
    from octelium.identity.admission import IssuedTokens

ACCESS: Final = "octelium_auth"
REFRESH: Final = "octelium_rt"
_BROWSER: Final = re.compile(r"Mozilla/[ -~]{0,292}")


@dataclass(frozen=True, slots=True)
class BrowserPages:
    """Where the Cluster's own pages are: origins with their ports."""

    domain: str
    login: str
    portal: str

    def refresh_token(self, call: Call) -> str:
        """The caller's refresh token: in the metadata, or in the cookie of a page of the Cluster.

        Empty if there is neither.
        """
        if call.refresh_token:
            return call.refresh_token
        return self.cookie(call) if call.origin in (self.login, self.portal) else ""

    def cookie(self, call: Call) -> str:
        """The refresh token in the cookies, whoever sent them; one that is there twice counts not.

        Names of cookies may be given twice (RFC 6265 section 5.4), and the order says little.
        """
        pairs = (part.partition("=") for part in call.metadata.get("cookie", "").split(";"))
        found = [value.strip() for name, _, value in pairs if name.strip() == REFRESH]
        return found[0] if len(found) == 1 else ""

    def require_login_page(self, call: Call) -> None:
        """Raises ApiError unless a browser's page of the login host calls."""
        if call.origin != self.login or _BROWSER.fullmatch(call.user_agent) is None:
            raise ApiError(
                grpc.StatusCode.PERMISSION_DENIED, "only the login page of the Cluster may do this"
            )

    def set_tokens(self, call: Call, issued: IssuedTokens) -> None:
        """Have the browser keep the tokens of a Session for as long as they are good."""
        call.set_cookies.append(self._cookie(ACCESS, issued.access_token, issued.expires_in))
        seconds = issued.refresh_token_expires_in
        call.set_cookies.append(self._cookie(REFRESH, issued.refresh_token, seconds))

    def clear_tokens(self, call: Call) -> None:
        """Have the browser forget the Session that has ended. A login that has begun goes on."""
        call.set_cookies += [self._cookie(name, "", 0) for name in (ACCESS, REFRESH)]

    def _cookie(self, name: str, value: str, seconds: int) -> str:
        return (
            f"{name}={value}; Max-Age={seconds}; Domain={self.domain}; Path=/; Secure; HttpOnly; "
            "SameSite=Lax"
        )
