"""A person in front of a browser without scripts, who signs in to a Cluster over HTTP."""

from __future__ import annotations

import asyncio
import html
import re
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from tests.authserver.providers import trusting
from tests.e2e.cluster import DOMAIN
from tests.peers.walking import walk

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.peers.walking import Landing

AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
"""Who sends visitors to the login page, rather than a refusal."""
_FORM = re.compile(r"<form.*?</form>", re.DOTALL)
_FIELD = re.compile(r'name="([^"]*)" value="([^"]*)"')
_BUTTON = re.compile(r"<button[^>]*>(?:Continue with )?(.*?)</button>")
_MOST_HOPS = 10


class Visitor:
    """Cookies at the Cluster, and those at the providers, as of one browser."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        # A connection is for one host: the certificates of Namespaces differ.
        self._http = cluster.http(limits=httpx.Limits(max_keepalive_connections=0))
        self.cookies: dict[str, str] = {}
        self.elsewhere = httpx.Cookies()

    def close(self) -> None:
        """Close the browser."""
        self._http.close()

    def get(self, url: str) -> httpx.Response:
        """Open a page of the Cluster; redirects are not followed."""
        return self._send("GET", url)

    def follow(self, url: str) -> httpx.Response:
        """Open a page, and go where it leads to within the Cluster."""
        return self._onward(self.get(url))

    def offers(self) -> list[str]:
        """What the login page's buttons call the providers."""
        page = self._login_page()
        return [html.unescape(name) for name in _BUTTON.findall(page.text)]

    def begin(self, name: str, query: str = "") -> str:
        """Press the button of a provider; the address there that it leads to."""
        return self.press(self.fields(name, query))

    def fields(self, name: str, query: str = "") -> dict[str, str]:
        """What the button of a provider posts."""
        page = self._login_page(query)
        (form,) = [
            form
            for form in _FORM.findall(page.text)
            if name in map(html.unescape, _BUTTON.findall(form))
        ]
        return {key: html.unescape(value) for key, value in _FIELD.findall(form)}

    def press(self, fields: dict[str, str]) -> str:
        """Post the form of a button; the address at the provider, or the page of a refusal."""
        url, own = self._cluster.url("", "/begin"), self._cluster.url("", "")
        response = self._send("POST", url, fields, origin=own)
        if response.is_redirect:
            return response.headers["location"]
        assert response.status_code == 200, response.text
        return str(response.headers["refresh"].partition("url=")[2])

    def go(self, url: str, **answers: str) -> Landing:
        """Go through the provider's pages, up to the way back."""
        consumer = self._cluster.url("", "/callback")
        return asyncio.run(walk(url, consumer, answers, trusting.context(), self.elsewhere))

    def come_back(self, landing: Landing) -> httpx.Response:
        """Take the way back from the provider; the page that it ends on."""
        if landing.method == "GET":
            return self._onward(self.get(landing.url))
        origin = "https://localhost"
        return self._onward(self._send("POST", landing.url, landing.parameters, origin=origin))

    def sign_in(self, name: str, query: str = "", **answers: str) -> httpx.Response:
        """The whole of a login; the page that it ends on."""
        return self.come_back(self.go(self.begin(name, query), **answers))

    def sign_in_again(self, name: str, **answers: str) -> httpx.Response:
        """Another login, without what the Cluster and the provider remember."""
        self.cookies.clear()
        self.elsewhere = httpx.Cookies()
        return self.sign_in(name, **answers)

    @property
    def is_signed_in(self) -> bool:
        """Whether the Portal opens."""
        return self.get(self._cluster.url("portal")).status_code == 200

    def _login_page(self, query: str = "") -> httpx.Response:
        page = self.get(self._cluster.url("", f"/login?{query}"))
        assert page.status_code == 200, page.headers.get("location", page.text)
        return page

    def _onward(self, response: httpx.Response) -> httpx.Response:
        for _ in range(_MOST_HOPS):
            if not response.is_redirect:
                return response
            there = response.headers["location"]
            host = urlsplit(there).hostname or ""
            if host != DOMAIN and not host.endswith(f".{DOMAIN}"):
                return response
            response = self.get(there)
        raise AssertionError(f"{response.url} leads on and on")

    def _send(
        self, method: str, url: str, form: dict[str, str] | None = None, origin: str = ""
    ) -> httpx.Response:
        headers = {"User-Agent": AGENT, "Accept": "text/html"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        if origin:
            headers["Origin"] = origin
        content = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = urlencode(form)
        self._http.cookies.clear()  # they are of all hosts
        response = self._http.request(method, url, headers=headers, content=content)
        for line in response.headers.get_list("set-cookie"):
            for key, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(key, None)
                else:
                    self.cookies[key] = morsel.value
        return response


def query_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query))
