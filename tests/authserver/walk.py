"""A browser that signs in, step by step, on the hosts of `tests.authserver.browser`."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.provider import AGENT, set_cookies, state_of
from tests.identity.providers import add_person, add_provider

if TYPE_CHECKING:
    import httpx

    from tests.authserver.browser import Host

ORIGIN = "https://example.com"


async def prepare(host: Host, kind: str = "oidc", **spec: Any) -> core.IdentityProvider:
    """An IdentityProvider `idp` at which ann has an identity."""
    identities = (("idp", "ann"),)
    provider = await host.cluster.write(lambda tx: add_provider(tx, "idp", kind, **spec))
    await host.cluster.write(lambda tx: add_person(tx, "ann", identities=identities))
    return provider


class Browser:
    """Keeps the cookies of the login host as a browser does."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.send("GET", path, headers)

    async def post(
        self, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> httpx.Response:
        """Post a form of the login host's own pages."""
        content = urlencode(form or {})
        sent = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded", **headers}
        return await self.send("POST", path, sent, content=content)

    async def send(
        self, method: str, path: str, headers: dict[str, str], **more: Any
    ) -> httpx.Response:
        sent = {"user-agent": AGENT, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.host.client.cookies.clear()  # it is not one browser, but all of them
        response = await self.host.client.request(method, path, headers=sent, **more)
        for name, cookie in set_cookies(response).items():
            if cookie.get("Max-Age") == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = cookie["value"]
        return response

    async def begin(self, query: str = "") -> str:
        """Click the button of the IdentityProvider `idp`; the address of the provider."""
        provider = self.host.cluster.resources.get(core.IdentityProvider, name="idp")
        form = {"uid": provider.metadata.uid, "query": query}
        return onward_url(await self.post("/begin", form))

    async def sign_in(self, query: str = "", who: str = "ann") -> httpx.Response:
        """From the button to the answer to the callback."""
        state = state_of(await self.begin(query))
        return await self.get(f"/callback?{urlencode({'state': state, 'code': who})}")

    def session(self) -> core.Session | None:
        """The Session that the browser has."""
        token = self.cookies.get("octelium_rt", "")
        return self.host.cluster.authentication.browser_session(token)


def onward_url(response: httpx.Response) -> str:
    """Where a page leads on to."""
    assert response.status_code == 200
    delay, _, url = response.headers["refresh"].partition("; url=")
    assert delay == "0"
    assert html.escape(url) in response.text
    return str(url)


def fields_of(text: str) -> dict[str, str]:
    """The hidden fields of a page's first form."""
    form = re.search(r"<form.*?</form>", text, re.DOTALL)
    assert form is not None
    found = re.findall(r'name="([^"]*)" value="([^"]*)"', form[0])
    return {html.unescape(name): html.unescape(value) for name, value in found}
