from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.planted_cookies import MOST_BYTES, expiries

DOMAIN = b"octelium.test"
Place = tuple[str, str, bool]


def places(path: bytes, host: bytes) -> set[Place]:
    """Path, domain and whether partitioned of each cookie that is ended."""
    found = set()
    for value in expiries([b"a"], path, host, DOMAIN):
        head, _, partitioned = value.decode().partition("; Partitioned")
        (morsel,) = SimpleCookie(head).values()
        assert (morsel.key, morsel.value, morsel["max-age"], morsel["secure"]) == ("a", "", "0", 1)
        assert partitioned == ""
        found.add((morsel["path"], morsel["domain"], value.endswith(b"; Partitioned")))
    return found


def test_every_place_but_the_genuine_one() -> None:
    domains = ("octelium.test", "wiki.octelium.test", "")
    paths = ("/", "/a", "/a/", "/a/b")
    expected = {(path, domain, part) for path in paths for domain in domains for part in (0, 1)}
    expected.discard(("/", "octelium.test", False))
    assert places(b"/a/b?c/d", b"Wiki.octelium.test") == expected


def test_each_name() -> None:
    values = expiries([b"a", b"b"], b"/", DOMAIN, DOMAIN)
    assert [value.partition(b"=")[0] for value in values] == [b"a", b"b"] * 3


@pytest.mark.parametrize(
    ("host", "domains"),
    [
        (DOMAIN, {"octelium.test", ""}),
        (b"a.ns.octelium.test", {"octelium.test", "ns.octelium.test", "a.ns.octelium.test", ""}),
        (b"127.0.0.1", {""}),
        (b"xoctelium.test", {""}),
        (b"[::1]", {""}),
        (b"a;x.octelium.test", {""}),
    ],
)
def test_domains(host: bytes, domains: set[str]) -> None:
    assert {domain for _, domain, _ in places(b"/", host)} == domains


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        (b"", {"/"}),
        (b"*", {"/"}),
        (b"//x", {"/", "//", "//x"}),
        (b"/a/", {"/", "/a", "/a/"}),
        (b"/a;b/c", {"/"}),
        (b"/a/b;c/d", {"/", "/a", "/a/"}),
        (b"/a b", {"/"}),
        (b"/" + b"a" * 1024 + b"/b", {"/"}),
    ],
)
def test_paths(path: bytes, paths: set[str]) -> None:
    found = {where for where, _, _ in places(path, DOMAIN)}
    assert found == paths


@given(
    path=st.binary(max_size=3000) | st.lists(st.sampled_from([b"/", b"ab"])).map(b"".join),
    host=st.binary(max_size=80) | st.just(b"a.b.c.d." + DOMAIN),
)
def test_nothing_breaks_out_of_a_field(path: bytes, host: bytes) -> None:
    values = expiries([b"octelium_auth", b"octelium_rt"], path, host, DOMAIN)
    assert sum(map(len, values)) <= MOST_BYTES
    for value in values:
        assert all(0x20 <= byte < 0x7F for byte in value)
        first, *rest = value.split(b"; ")
        assert first in (b"octelium_auth=", b"octelium_rt=")
        assert {part.partition(b"=")[0] for part in rest} <= {
            b"Max-Age",
            b"Path",
            b"Domain",
            b"Secure",
            b"Partitioned",
        }
        assert b"Max-Age=0" in rest
        assert rest != [b"Max-Age=0", b"Path=/", b"Domain=" + DOMAIN, b"Secure"]
