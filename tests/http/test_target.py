from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.message import MessageError
from octelium.http.target import normalise, parse_query, query_parameters


@pytest.mark.parametrize(
    ("target", "wire", "path"),
    [
        (b"/", b"/", b"/"),
        (b"/a/b?c=d", b"/a/b?c=d", b"/a/b"),
        (b"/a?", b"/a?", b"/a"),
        (b"*", b"*", b"*"),
        (b"/a//b", b"/a//b", b"/a//b"),
        (b"//a/b", b"//a/b", b"//a/b"),
        (b"/a/./b", b"/a/b", b"/a/b"),
        (b"/a/../b", b"/b", b"/b"),
        (b"/../../a", b"/a", b"/a"),
        (b"/a/..", b"/", b"/"),
        (b"/a/b/..", b"/a/", b"/a/"),
        (b"/a/.", b"/a/", b"/a/"),
        (b"/a/%2e%2e/b", b"/b", b"/b"),
        (b"/a/.%2E/b", b"/b", b"/b"),
        (b"/a/%2e/b", b"/a/b", b"/a/b"),
        (b"/.well-known/x", b"/.well-known/x", b"/.well-known/x"),
        (b"/a/...", b"/a/...", b"/a/..."),
        (b"/a..b/..c", b"/a..b/..c", b"/a..b/..c"),
        (b"/%61dmin", b"/admin", b"/admin"),
        (b"/%7euser", b"/~user", b"/~user"),
        (b"/a%2fb", b"/a%2Fb", b"/a/b"),
        (b"/a%20b", b"/a%20b", b"/a b"),
        (b"/%e4", b"/%E4", b"/\xe4"),
        (b"/100%25", b"/100%25", b"/100%"),
        (b"/a\\b", b"/a\\b", b"/a\\b"),
        (b"/a?x=/../y", b"/a?x=/../y", b"/a"),
        (b"/a?x=%zz", b"/a?x=%zz", b"/a"),
        (b"/a?x=1;y=2", b"/a?x=1&y=2", b"/a"),
        (b"/a;v=1/b", b"/a;v=1/b", b"/a;v=1/b"),
    ],
)
def test_the_one_form(target: bytes, wire: bytes, path: bytes) -> None:
    result = normalise(target)
    assert result.wire == wire
    assert result.path == path


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"a",
        b"/a b",
        b"/a#b",
        b"/a?b#c",
        b"/\x00",
        b"/\x7f",
        b"/\xff",
        b"/%",
        b"/%2",
        b"/%zz",
        b"/%00",
        b"/a%0d%0ab",
        b"/%7f",
        b"/..%2fadmin",
        b"/%2e%2e%2fadmin",
        b"/a/..%5cadmin",
        b"/a\\..\\b",
        b"/a/..\\b",
        b"/a\\../b",
        b"/a%2f../b",
        b"/a%2f..%2fb",
        b"/x%5c../b",
        b"/a/%252e%252e/b",
        b"/a/..%252fb",
        b"/a/..;/admin",
        b"/a/..;x=y/admin",
        b"/a/.;/admin",
        b"/a/%2e%2e;/admin",
        b"/a/..%3b/admin",
        b"/" + b"%25" * 3 + b"2525252525252525252541",
    ],
)
def test_what_servers_read_differently(target: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        normalise(target)
    assert caught.value.status == 400


def test_another_path_with_the_same_query() -> None:
    assert normalise(b"/a?b").with_path(b"/c") == b"/c?b"
    assert normalise(b"/a").with_path(b"/c") == b"/c"


def test_query_parameters() -> None:
    pairs, clean = parse_query(b"a=1&b=%41+c&&d&a=2&=x")
    assert pairs == [(b"a", b"1"), (b"b", b"A c"), (b"d", b""), (b"a", b"2"), (b"", b"x")]
    assert clean
    assert parse_query(b"a=%zz&b=1") == ([(b"b", b"1")], False)


def test_the_first_of_several_query_parameters_counts() -> None:
    found = {"a": "1", "b": "A c", "d": ""}
    assert query_parameters(b"a=1&b=%41+c&d&a=2&a=3") == (found, frozenset({"a"}), True)
    assert query_parameters(b"a=%zz&b=%ff") == ({"b": "\ufffd"}, frozenset(), False)


_SEGMENT = st.sampled_from(
    ["a", ".", "..", "%2e", "%2E%2e", "", "%2f", "%5c", "\\", "b%20c", "..;", "%252e", "admin"]
)


@given(st.lists(_SEGMENT, max_size=6).map(lambda parts: ("/" + "/".join(parts)).encode()))
def test_the_one_form_is_stable_and_has_no_dots(target: bytes) -> None:
    try:
        result = normalise(target)
    except MessageError:
        return
    assert normalise(result.wire).wire == result.wire
    assert unquote_to_bytes(result.raw_path) == result.path
    decoded = result.path
    for _ in range(4):
        segments = decoded.replace(b"\\", b"/").split(b"/")
        assert not {b".", b".."} & {segment.partition(b";")[0] for segment in segments if segment}
        decoded = unquote_to_bytes(decoded)


@given(st.binary(max_size=60).map(lambda data: b"/" + data))
def test_any_bytes_give_a_target_or_a_refusal(target: bytes) -> None:
    try:
        result = normalise(target)
    except MessageError:
        return
    assert result.wire.startswith(b"/")
    assert not any(byte < 0x21 or byte > 0x7E for byte in result.wire)
