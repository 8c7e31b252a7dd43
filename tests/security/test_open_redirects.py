"""No login leads out of the Cluster, however the address is written (RFC 9700 section 4.11)."""

from __future__ import annotations

import itertools
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from octelium.cluster.refusals import EACH
from octelium.schema.pb import auth_v1_pb2 as auth
from tests.authserver import test_targets
from tests.e2e.cluster import DOMAIN
from tests.peers.walking import forms_of
from tests.security.visitor import STATE, Visitor, gives_nothing, onward, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.security.lab import Lab

ELSEWHERE = "is none of this Cluster"


def foreign(lab: Lab) -> list[str]:
    """Addresses that are none of the Cluster, whatever a browser makes of them."""
    own = f"{DOMAIN}:{lab.cluster.port}"
    written = [url.replace("example.com", own) for url in test_targets.FOREIGN if url]
    here = [
        f"https://{DOMAIN}/",
        f"https://{DOMAIN}:{lab.cluster.port + 1}/",
        f"https://{DOMAIN}:0{lab.cluster.port}/",
        f"https://{DOMAIN}:{lab.cluster.admin}/",
        f"http://{own}/",
        f"//{own}/",
        f"https:\\\\{own}\\",
        f"https://{own.upper()}/",
        f"https://{DOMAIN}.:{lab.cluster.port}/",
        f"https://{DOMAIN}\u3002evil.test/",
        f"https://{DOMAIN}\uff0fevil.test:{lab.cluster.port}/",
        f"https://\uff4fctelium.localhost:{lab.cluster.port}/",
        f"https://xn--ctelium-5gg.localhost:{lab.cluster.port}/",
        f"https://{own}/\r\nLocation: https://evil.test/",
        f"https://{own}/\t",
        f" https://{own}/",
        f"data:text/html,{own}",
        f"javascript://{own}/%0aalert(1)",
    ]
    return [*dict.fromkeys([*written, *here])]


def batches(lab: Lab) -> Iterator[tuple[Visitor, list[str]]]:
    """So many at a time as the log lists of one client."""
    left = iter(foreign(lab))
    while batch := list(itertools.islice(left, EACH)):
        yield lab.visitor(), batch


def location(response: httpx.Response) -> str:
    assert response.status_code == 303
    return str(response.headers["location"])


def test_the_login_page_keeps_no_foreign_target(lab: Lab) -> None:
    for visitor, urls in batches(lab):
        with lab.refused(visitor, *([ELSEWHERE] * len(urls))):
            for url in urls:
                page = visitor.get(f"/login?{urlencode({'redirect': url})}")
                assert page.status_code == 200
                assert "evil" not in shown(page)
                kept = {form.fields.get("query", "") for form in forms_of(page.text)}
                assert kept == {""}, url


def test_no_login_begins_with_a_foreign_target(lab: Lab) -> None:
    """What the login page would not have made may be posted too."""
    for visitor, urls in batches(lab):
        with lab.refused(visitor, *([ELSEWHERE] * len(urls))):
            for url in urls:
                there = visitor.begin(lab.uid("liar"), urlencode({"redirect": url}))
                assert there.startswith(lab.liar.url)


def test_no_login_ends_at_a_foreign_target(lab: Lab) -> None:
    ann = lab.as_ann()
    portal = lab.cluster.url("portal", "")
    for start in range(0, len(foreign(lab)), EACH):
        urls = foreign(lab)[start : start + EACH]
        ann = lab.as_ann()
        with lab.refused(ann, *([ELSEWHERE] * len(urls))):
            for url in urls:
                landed = ann.get(f"/callback/success?{urlencode({'redirect': url})}")
                assert location(landed) == portal, url


@pytest.mark.parametrize(
    "url",
    ["//evil.test/", f"https://{DOMAIN}@evil.test/", f"https://{DOMAIN}\\.evil.test/"],
)
def test_from_the_first_page_to_the_last(lab: Lab, url: str) -> None:
    visitor = lab.visitor()
    query = urlencode({"redirect": url})
    lab.liar.claims = {"email": "ann@example.com"}
    landed = visitor.come_back(lab.liar.authorize(visitor.begin(lab.uid("liar"), query)))
    success = location(landed)
    assert success == lab.cluster.url("", "/callback/success")
    assert location(visitor.get(success)) == lab.cluster.url("portal", "")
    assert location(visitor.get(f"/login?{query}")) == lab.cluster.url("portal", "")


def test_pages_of_the_cluster_are_reached(lab: Lab) -> None:
    visitor = lab.visitor()
    page = lab.cluster.url("demo-nginx", "/a?b=//evil.test/")
    landed = lab.sign_in(visitor, urlencode({"redirect": page}), email="ann@example.com")
    assert location(visitor.get(location(landed))) == page


def test_states_that_are_addresses(lab: Lab) -> None:
    """SAML providers may send people who did not begin here on to their `RelayState`."""
    visitor = lab.visitor()
    visitor.begin(lab.uid("okta"))
    for state in ("https://evil.test/", "//evil.test", lab.cluster.url("portal")):
        for cookie in (visitor.cookies[STATE], quote(state, safe="")):
            other = replace(visitor, cookies={STATE: cookie})
            with lab.refused(other, "not this browser's"):
                form = {"RelayState": state, "SAMLResponse": "PGEvPg=="}
                response = other.come_back(form, posted=True)
                gives_nothing(response)
                assert location(response) == lab.cluster.url("", "/login?error=expired")


def request_of(**changes: object) -> str:
    made = auth.ClientLoginRequest(
        api_version=auth.ClientLoginRequestApiVersion__.V1,
        callback_port=20_000,
        callback_suffix="abcd1234",
        code_challenge=bytes(32),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return urlsafe_b64encode(made.SerializeToString()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"callback_port": 443},
        {"callback_port": 70_000},
        {"callback_suffix": "/../@a"},
        {"callback_suffix": "@evil.te"},
        {"callback_suffix": "a?b#c"},
        {"callback_suffix": "\\evil"},
        {"code_challenge": b""},
    ],
)
def test_command_lines_are_answered_on_loopback_alone(lab: Lab, changes: dict[str, object]) -> None:
    visitor = lab.visitor()
    query = urlencode({"octelium_req": request_of(**changes)})
    with lab.refused(visitor, "the ", "the "):
        page = visitor.get(f"/login?{query}")
        assert "asked for something that this Cluster cannot do" in page.text
        response = visitor.post("/begin", {"uid": lab.uid("liar"), "query": query})
        assert location(response) == lab.cluster.url("", "/login?error=client")


def test_hosts_that_requests_claim(lab: Lab) -> None:
    """Where a redirect leads is the Cluster's own knowledge, not the request's."""
    ann, nobody = lab.as_ann(), lab.visitor()
    for headers in (
        {"X-Forwarded-Host": "evil.test"},
        {"X-Original-URL": "https://evil.test/"},
        {"Forwarded": "host=evil.test;proto=http"},
        {"Referer": "https://evil.test/"},
        {"X-Forwarded-Proto": "http"},
    ):
        for visitor in (ann, nobody):
            for url in ("/", "/login", "/device", "/authenticators", lab.cluster.url("demo-nginx")):
                response = visitor.get(url, **headers)
                there = response.headers.get("location", "")
                assert "evil" not in there + shown(response)
                assert not there.startswith("http:")
    with lab.refused(ann):
        response = ann.get("/", Host="evil.test")
    assert response.status_code == 421
    assert "location" not in response.headers


def test_codes_of_machines_are_no_addresses(lab: Lab) -> None:
    visitor = lab.visitor()
    for code in ("//evil.test", "https://evil.test/", "x&redirect=https://evil.test/", "\\evil"):
        there = location(visitor.get(f"/device?{urlencode({'user_code': code})}"))
        (back,) = parse_qs(urlsplit(there).query)["redirect"]
        assert back == lab.cluster.url("", "/device")


def test_pages_between_lead_to_providers_alone(lab: Lab) -> None:
    visitor = lab.visitor()
    page = visitor.post("/begin", {"uid": lab.uid("liar"), "query": "", "url": "//evil.test"})
    assert urlsplit(onward(page)).netloc == urlsplit(lab.liar.url).netloc
    assert "evil.test" not in page.text
