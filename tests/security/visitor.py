"""A browser without pages: cookies as browsers keep them, no redirect followed by itself."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.e2e.cluster import DOMAIN, Cluster

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

AGENT = "Mozilla/5.0 (X11; Linux x86_64) tests"
ACCESS, REFRESH, STATE = "octelium_auth", "octelium_rt", "__Host-octelium_login_state"
FORM = "application/x-www-form-urlencoded"
TOKEN = re.compile(r"A[Q-Za-f][A-Za-z0-9_-]{148,218}")
"""What one of the Cluster's tokens looks like."""


_NONCE = re.compile(r'nonce="[^"]*"')


def shown(page: httpx.Response) -> str:
    """What a page says, without letters that are drawn anew for each."""
    return _NONCE.sub("", page.text)


@dataclass
class Visitor:
    """Somebody with a browser, at an address that nobody else of the tests has."""

    cluster: Cluster
    client: httpx.Client
    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        keep: bool = True,
        **more: Any,
    ) -> httpx.Response:
        """One request; `url` is of the login host unless it is whole."""
        whole = url if url.startswith("https://") else self.cluster.url("", url)
        told = {
            "User-Agent": AGENT,
            "Accept": "text/html",
            "X-Forwarded-For": self.address,
        }
        if self.cookies:
            told["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = self.client.request(method, whole, headers={**told, **(headers or {})}, **more)
        if keep:
            self._keep(response)
        return response

    def get(self, url: str, **headers: str) -> httpx.Response:
        """Open a page."""
        return self.send("GET", url, headers)

    def post(
        self, url: str, form: Mapping[str, str], *, origin: str | None = "", keep: bool = True
    ) -> httpx.Response:
        """Send a form of a page of the login host, or of another origin, or of none."""
        headers = {"Content-Type": FORM}
        if origin is not None:
            headers["Origin"] = origin or self.cluster.url("", "")
        return self.send("POST", url, headers, content=urlencode(form), keep=keep)

    def begin(self, uid: str, query: str = "") -> str:
        """Begin a login; where the provider's page is."""
        page = self.post("/begin", {"uid": uid, "query": query})
        assert page.status_code == 200, page.headers.get("location")
        return onward(page)

    def come_back(
        self, parameters: Mapping[str, str], *, posted: bool = False, keep: bool = True
    ) -> httpx.Response:
        """The provider sends the browser back."""
        if posted:
            return self.post("/callback", parameters, origin="https://localhost", keep=keep)
        return self.send("GET", f"/callback?{urlencode(parameters)}", keep=keep)

    def opens(self, service: str = "demo-nginx") -> bool:
        """Whether the browser's cookies open a Service."""
        response = self.get(self.cluster.url(service))
        assert response.status_code in (200, 303, 401, 403)
        return response.status_code == 200

    @property
    def is_signed_in(self) -> bool:
        """Whether the browser has tokens."""
        return bool({ACCESS, REFRESH} & self.cookies.keys())

    def _keep(self, response: httpx.Response) -> None:
        for name, value, rest in set_cookies(response):
            if name == STATE:
                assert "domain" not in rest.lower()
            else:
                assert f"domain={DOMAIN}" in rest.lower()
            assert "secure" in rest.lower()
            if "max-age=0" in rest.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


def set_cookies(response: httpx.Response) -> list[tuple[str, str, str]]:
    """Names, values and attributes of the cookies that a response sets."""
    found = []
    for line in response.headers.get_list("set-cookie"):
        pair, _, rest = line.partition(";")
        name, _, value = pair.partition("=")
        found.append((name.strip(), value.strip().strip('"'), rest))
    return found


def onward(page: httpx.Response) -> str:
    """Where a page leads on to at once."""
    return html.unescape(page.headers["refresh"].partition("url=")[2])


def gives_nothing(response: httpx.Response) -> None:
    """Assert that a response is a refusal, and that nothing of worth is in it."""
    assert response.status_code not in range(200, 300)
    assert response.status_code < 500
    for name, value, _ in set_cookies(response):
        assert name == "octelium_domain" or not value
    told = f"{response.headers} {response.text}"
    assert TOKEN.search(told) is None
