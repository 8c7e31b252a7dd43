"""Where the Cluster is, in the forms that pages and endpoints need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Site:
    """A Cluster's domain, and the port that its clients use."""

    domain: str
    port: int = 443
    authority: Callable[[], str] = field(default=str, repr=False, compare=False)
    """The certificate (PEM) of the Cluster's own CA, empty where clients need not know it."""

    @property
    def issuer(self) -> str:
        """What identifies the Cluster to others; it never carries a port."""
        return f"https://{self.domain}"

    @property
    def origin(self) -> str:
        """Where the login pages are."""
        return self.url(self.domain)

    @property
    def portal(self) -> str:
        """Where the Portal is."""
        return self.url(f"portal.{self.domain}")

    def url(self, host: str) -> str:
        """The address of one of the Cluster's hosts, without a path."""
        return f"https://{host}{self._suffix}"

    @property
    def login_command(self) -> str:
        """The command line by which a person signs in, with a browser."""
        endpoint = "" if self.port == 443 else f" --endpoint octelium-api.{self.domain}:{self.port}"
        authority = " --ca-file ca.pem" if self.authority() else ""
        return f"octelium login --domain {self.domain}{endpoint}{authority}"

    @property
    def token_login_command(self) -> str:
        """The command line by which a person with an authentication token signs in."""
        return f"{self.login_command} --auth-token TOKEN"

    @property
    def _suffix(self) -> str:
        return "" if self.port == 443 else f":{self.port}"
