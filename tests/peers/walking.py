"""Going through a provider's pages without a browser: redirects, cookies and plain forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

if TYPE_CHECKING:
    import ssl

_MOST_STEPS = 20


@dataclass
class Form:
    """A form of a page. Of buttons with one name the last counts."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(said.get("action", "")))
        elif tag in ("input", "button") and self.forms and said.get("name"):
            self.forms[-1].fields[said["name"]] = said.get("value", "")


def forms_of(text: str) -> list[Form]:
    """The forms of a page."""
    page = _Forms()
    page.feed(text)
    return page.forms


@dataclass(frozen=True)
class Landing:
    """How a browser came back: to which URL, and with which parameters."""

    method: str
    url: str
    parameters: dict[str, str]
    asked: frozenset[str] = frozenset()
    """Which answers were given."""


async def walk(
    url: str,
    consumer: str,
    answers: dict[str, str],
    context: ssl.SSLContext,
    cookies: httpx.Cookies | None = None,
) -> Landing:
    """From `url` on until a page leads to `consumer`. Forms are filled in with `answers`.

    `cookies` are those of the browser, which keeps them.
    """
    asked: set[str] = set()
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=60) as client:
        if cookies is not None:
            client.cookies.jar = cookies.jar
        request = client.build_request("GET", url)
        for _ in range(_MOST_STEPS):
            response = await client.send(request)
            if response.is_redirect:
                there = urljoin(str(request.url), response.headers["location"])
                if there.split("?")[0] == consumer:
                    told = dict(parse_qsl(urlsplit(there).query))
                    return Landing("GET", there, told, frozenset(asked))
                request = client.build_request("GET", there)
                continue
            forms = forms_of(response.text)
            if response.status_code != 200 or not forms:
                raise AssertionError(f"{request.url} answers {response.status_code}")
            form = forms[0]
            there = urljoin(str(request.url), form.action)
            if there == consumer:
                return Landing("POST", there, form.fields, frozenset(asked))
            asked.update(answers.keys() & form.fields.keys())
            filled = {name: answers.get(name, value) for name, value in form.fields.items()}
            request = client.build_request("POST", there, data=filled)
    raise AssertionError(f"{consumer} was not reached")
