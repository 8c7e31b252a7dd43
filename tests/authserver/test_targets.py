from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.site import Site
from octelium.authserver.targets import (
    ClientLogin,
    Target,
    TargetError,
    asks_elsewhere,
    client_login,
    is_own_page,
    target_of,
)
from octelium.schema.pb import auth_v1_pb2 as auth

SITE = Site("example.com")
PORTED = Site("example.com", 8443)
OWN = [
    "https://example.com",
    "https://example.com/",
    "https://example.com:443/",
    "https://wiki.example.com/a/b?c=d&e=%2F#f",
    "https://wiki.team.example.com/?next=https://evil.test/",
    "https://a--b.example.com/path@with@at",
    "https://wiki.example.com//evil.test/",
    "https://wiki.example.com?x=1|2{3}",
]
FOREIGN = [
    "",
    "/",
    "//evil.test",
    "///evil.test",
    "/\\evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "https:\\\\evil.test",
    "https://evil.test",
    "https://evil.test/example.com",
    "https://evil.test?.example.com",
    "https://evil.test#.example.com",
    "https://evil.test\\.example.com",
    "https://evil.test\\@example.com",
    "https://example.com\\@evil.test",
    "https://example.com@evil.test",
    "https://user@example.com/",
    "https://user:password@wiki.example.com/",
    "https://evil.test%2f.example.com",
    "https://evil.test%00.example.com",
    "https://evil.test%23@example.com",
    "https://example.com%40evil.test",
    "https://wiki%2eexample.com",
    "https://evilexample.com",
    "https://example.com.evil.test",
    "https://example.com.",
    "https://wiki.example.com./",
    "https://.example.com/",
    "https://-.example.com/",
    "https://wiki..example.com/",
    "https://_.example.com/",
    "https://Example.com/",
    "HTTPS://example.com/",
    "https://ex\u00e4mple.com",
    "https://\uff45xample.com/",
    "https://example\u3002com/",
    "https://wiki.example\uff0ecom/",
    "https://w\u0456ki.example.com/",
    "https://exam\u00adple.com/",
    "https://xn--exmple-cua.com",
    "https://example.com:8443/",
    "https://example.com:80/",
    "https://example.com:0443/",
    "https://example.com:443443/",
    "https://example.com:/",
    "https://example.com:443@evil.test/",
    "https://[::1]/",
    "https://[example.com]/",
    "https://127.0.0.1/",
    "http://example.com/",
    "ftp://example.com/",
    "javascript:https://example.com/",
    "data:text/html,https://example.com",
    "https://example.com/\\evil",
    "https://example.com/\r\nLocation: https://evil.test",
    "https://example.com/\t",
    "https://exa\tmple.com/",
    "https://exa\nmple.com/",
    " https://example.com/",
    "https://example.com/ ",
    "https://example.com/\u00e4",
    "https://example.com/\x00",
    'https://example.com/"><script>',
    "https://example.com/" + "a" * 1500,
]


@pytest.mark.parametrize("url", OWN)
def test_pages_of_the_cluster(url: str) -> None:
    assert is_own_page(SITE, url)
    assert target_of(SITE, urlencode({"redirect": url})) == Target(redirect=url)


@pytest.mark.parametrize("url", FOREIGN)
def test_whatever_is_no_page_of_the_cluster_leads_nowhere(url: str) -> None:
    assert not is_own_page(SITE, url)
    assert target_of(SITE, urlencode({"redirect": url})) == Target()
    assert target_of(SITE, f"redirect={quote(quote(url, safe=''), safe='')}") == Target()


def test_the_port_is_the_one_of_the_cluster() -> None:
    assert is_own_page(PORTED, "https://wiki.example.com:8443/")
    assert not is_own_page(PORTED, "https://wiki.example.com/")
    assert not is_own_page(PORTED, "https://wiki.example.com:443/")
    assert not is_own_page(SITE, "https://wiki.example.com:8443/")


URLS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "https:", "http:", "/", "//", "\\", "@", ":", "example.com", "evil.test", ".", "?",
                "#", "%2f", "%5c", "%40", "443", "8443", "wiki", "[", "]", "\t", "\n", " ", "%",
                "\u3002", "\uff0f", "xn--", "user", "%00", ";", "&", "=", "\x00", "-", "..",
            ]
        ),
        max_size=12,
    ).map("".join),
    st.lists(st.sampled_from("/\\@:.#?%[]ab-"), max_size=10).map(
        lambda parts: "https://example.com" + "".join(parts)
    ),
    st.lists(st.sampled_from("/\\@:.#?%[]ab-"), max_size=10).map(
        lambda parts: "https://" + "".join(parts) + ".example.com/"
    ),
)  # fmt: skip


@given(URLS)
def test_what_is_accepted_every_parser_reads_as_the_clusters(url: str) -> None:
    if not is_own_page(SITE, url):
        return
    parts = urlsplit(url)
    assert parts.scheme == "https"
    assert parts.username is None
    assert parts.password is None
    assert parts.port in (None, 443)
    host = parts.hostname or ""
    assert host == "example.com" or host.endswith(".example.com")
    assert url.isascii()
    assert url.isprintable()
    assert "\\" not in url
    # As browsers read it: the authority ends at the first of these.
    authority = url.removeprefix("https://")
    for end in "/?#\\":
        authority = authority.partition(end)[0]
    assert authority in (host, f"{host}:443")


@pytest.mark.parametrize(
    "query",
    [
        "redirect=https://example.com/&redirect=https://wiki.example.com/",
        "redirect=",
        "x=1",
        "",
        "&" * 40,
        "=".join("&" * 40),
        "redirect=https://example.com/%ff",
        "x=" + "a" * 20_000 + "&redirect=https://example.com/",
    ],
)
def test_queries_that_name_nothing(query: str) -> None:
    assert target_of(SITE, query) == Target()


def request(**changes: Any) -> str:
    fields = {
        "api_version": auth.ClientLoginRequestApiVersion__.V1,
        "callback_port": 23456,
        "callback_suffix": "abCD1234",
        "code_challenge": bytes(range(32)),
        **changes,
    }
    raw = auth.ClientLoginRequest(**fields).SerializeToString()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


CLIENT = ClientLogin(23456, "abCD1234", bytes(range(32)))


def test_a_command_line() -> None:
    assert client_login(request()) == CLIENT
    versions = auth.ClientLoginRequestApiVersion__
    assert client_login(request(api_version=versions.V2)) == CLIENT
    found = target_of(SITE, f"?octelium_req={request()}&redirect=https://example.com/")
    assert found == Target(client=CLIENT)


def test_its_answer_goes_to_loopback() -> None:
    parts = urlsplit(CLIENT.answer("t0ken"))
    assert (parts.scheme, parts.netloc) == ("http", "localhost:23456")
    assert parts.path == "/callback/success/abCD1234"
    (text,) = parse_qs(parts.query)["octelium_response"]
    answer = auth.ClientLoginResponse.FromString(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert answer.authentication_token == "t0ken"
    assert answer.code_challenge == bytes(range(32))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "AA==",
        request() + "=",
        request()[:-1],
        request() + "A",
        "\u00e9" * 10,
        "A" * 513,
        request(api_version=auth.ClientLoginRequestApiVersion__.UNKNOWN_VERSION),
        request(callback_port=9999),
        request(callback_port=80),
        request(callback_port=0),
        request(callback_port=65536),
        request(callback_suffix="abc"),
        request(callback_suffix="abcdefghi"),
        request(callback_suffix="../../"),
        request(callback_suffix="a?b#"),
        request(callback_suffix="\u00e4\u00e4\u00e4\u00e4"),
        request(callback_suffix="abcd\n"),
        request(code_challenge=b""),
        request(code_challenge=bytes(31)),
        request(code_challenge=bytes(33)),
        request(callback_type=auth.ClientLoginRequestCallbackType__.APP),
    ],
)
def test_what_asks_for_what_is_not_served(text: str) -> None:
    with pytest.raises(TargetError):
        client_login(text)
    if text:
        with pytest.raises(TargetError):
            target_of(SITE, urlencode({"octelium_req": text}))


def test_two_command_lines_are_none() -> None:
    with pytest.raises(TargetError):
        target_of(SITE, f"octelium_req={request()}&octelium_req={request()}")


@given(st.one_of(st.text(max_size=80), st.binary(max_size=60).map(urlsafe_b64encode)))
def test_anything_is_read_or_refused(text: str | bytes) -> None:
    wanted = text.decode() if isinstance(text, bytes) else text
    try:
        found = client_login(wanted)
    except TargetError:
        return
    assert found.answer("x").startswith(f"http://localhost:{found.port}/callback/success/")
    assert client_login(found.text) == found


def test_a_target_is_what_its_query_names() -> None:
    for target in (Target(), Target("https://wiki.example.com/?a=b&c"), Target(client=CLIENT)):
        assert target_of(SITE, target.query) == target


@pytest.mark.parametrize("url", [*FOREIGN, *OWN])
def test_who_asks_to_be_sent_elsewhere(url: str) -> None:
    query = urlencode({"redirect": url})
    assert asks_elsewhere(SITE, query) == (bool(url) and target_of(SITE, query) == Target())
    assert asks_elsewhere(SITE, f"{query}&redirect=https://example.com") == bool(url)


@pytest.mark.parametrize(
    ("query", "elsewhere"),
    [
        ("", False),
        ("a=b", False),
        ("redirect=%ff", True),
        ("redirect=//evil.test&" + "&".join(f"x{n}=1" for n in range(20)), True),
        ("redirect=https://evil.test/" + "x" * (32 << 10), True),
        ("x" * (32 << 10), False),
    ],
)
def test_queries_that_cannot_be_read(query: str, elsewhere: bool) -> None:
    assert asks_elsewhere(SITE, query) == elsewhere
    assert target_of(SITE, query) == Target()
