from __future__ import annotations

from typing import TYPE_CHECKING

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h2.compression import encode
from octelium.http.h2.frames import ErrorCode, H2ConnectionError, H2StreamError
from octelium.http.h2.heads import HeadReader
from tests.http.h2.wire import GET, POST

if TYPE_CHECKING:
    from octelium.http.message import Field, RequestHead


def read(*fields: Field, end: bool = True) -> RequestHead:
    return HeadReader(32 << 10, b"https").request(encode(fields), end=end)


def refused(*fields: Field, end: bool = True) -> int:
    """The status that a server answers to these fields."""
    with pytest.raises(H2StreamError) as raised:
        read(*fields, end=end)
    expected = ErrorCode.PROTOCOL_ERROR if raised.value.status == 400 else ErrorCode.NO_ERROR
    assert raised.value.code is expected
    return raised.value.status


def without(name: bytes) -> list[Field]:
    return [field for field in GET if field[0] != name]


def test_a_request() -> None:
    head = read(
        (b":method", b"PUT"),
        (b":scheme", b"http"),
        (b":authority", b"Wiki.Example.com:8443"),
        (b":path", b"/a?b=c"),
        (b"accept", b"*/*"),
        (b"x-empty", b""),
        (b"content-length", b"12"),
        (b"expect", b"100-continue"),
        end=False,
    )
    assert (head.method, head.target, head.scheme) == (b"PUT", b"/a?b=c", b"https")
    assert (head.host, head.authority) == (b"Wiki.Example.com:8443", b"wiki.example.com")
    assert (head.content_length, head.has_body, head.version) == (12, True, 20)
    assert head.expect_continue
    assert head.upgrade is None
    assert head.block.fields == (
        (b"accept", b"*/*"),
        (b"x-empty", b""),
        (b"content-length", b"12"),
        (b"expect", b"100-continue"),
    )


@pytest.mark.parametrize(("end", "length"), [(True, 0), (False, None)])
def test_the_body_without_a_length(end: bool, length: int | None) -> None:
    head = read(*POST, end=end)
    assert (head.has_body, head.content_length) == (not end, length)


def test_host_stands_in_for_the_authority() -> None:
    fields = [*without(b":authority"), (b"host", b"Example.COM")]
    assert read(*fields).authority == b"example.com"
    assert read(*GET, (b"host", b"EXAMPLE.com")).authority == b"example.com"


def test_cookies_are_joined_where_the_first_stood() -> None:
    head = read(*GET, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"cookie", b"c=3"))
    assert head.block.fields == ((b"cookie", b"a=1; b=2; c=3"), (b"x", b"y"))
    assert head.block.repeated == frozenset()


@pytest.mark.parametrize(
    "fields",
    [
        *[[*GET, field] for field in [GET[0], GET[1], GET[2], GET[3]]],  # twice
        *[without(name) for name, _ in GET],
        [*GET, (b":protocol", b"websocket")],
        [*GET, (b":status", b"200")],
        [*GET[:3], (b"x", b"y"), GET[3]],  # a pseudo-field after a regular one
        [(b"", b"x"), *GET],
        [*without(b":path"), (b":path", b"")],
        [*without(b":path"), (b":path", b"*")],
        [*without(b":path"), (b":path", b"relative")],
        [*without(b":path"), (b":path", b"http://example.com/")],
        [*without(b":path"), (b":path", b"/a b")],
        [*without(b":path"), (b":path", b"/a#b")],
        [*without(b":path"), (b":path", b"/a\r\nx: y")],
        [*without(b":path"), (b":path", b"/\xff")],
        [*without(b":path"), (b":path", b"/\0")],
        [*without(b":scheme"), (b":scheme", b"ftp")],
        [*without(b":scheme"), (b":scheme", b"HTTPS")],
        [*without(b":method"), (b":method", b"GE T")],
        [*without(b":method"), (b":method", b"")],
        [*without(b":method"), (b":method", b"G" * 33)],
        [*without(b":authority"), (b":authority", b"")],
        [*without(b":authority"), (b":authority", b"user@example.com")],
        [*without(b":authority"), (b":authority", b"example.com:99999")],
        [*without(b":authority"), (b":authority", b"exa mple.com")],
        [*GET, (b"host", b"other.example.com")],
        [*GET, (b"host", b"example.com:1")],
        [*GET, (b"host", b"example.com"), (b"host", b"example.com")],
        *[[*GET, (name, b"x")] for name in [b"Upper", b"sp ace", b"", b"a:b", b"a\0", b"caf\xc3"]],
        *[[*GET, (name, b"x")] for name in [b"x-a\n", b"\nx", b"a\nb", b"a\r", b":x"]],
        *[[*GET, (b"x", value)] for value in [b" a", b"a ", b"\ta", b"a\t", b"a\nb", b"a\rb"]],
        *[[*GET, (b"x", value)] for value in [b"a\0", b"\x7f", b"a\x01b", b"\n", b" "]],
        [*GET, (b"x", b"\n"), (b"y", b"z")],
        [*GET, (b"connection", b"close")],
        [*GET, (b"keep-alive", b"x")],
        [*GET, (b"proxy-connection", b"x")],
        [*GET, (b"transfer-encoding", b"chunked")],
        [*GET, (b"upgrade", b"websocket")],
        [*GET, (b"te", b"gzip")],
        [*GET, (b"te", b"trailers"), (b"te", b"gzip")],
        [*GET, (b"te", b"trailers, gzip")],
        [*GET, (b"content-length", b"5")],  # and the stream ends here
    ],
)
def test_malformed_requests(fields: list[Field]) -> None:
    assert refused(*fields) == 400


@pytest.mark.parametrize("value", [b"+5", b"-1", b"0x5", b"1_0", b"5,5", b"", b"5 ", b"9" * 19])
def test_content_length_is_ascii_digits_only(value: bytes) -> None:
    assert refused(*POST, (b"content-length", value), end=False) == 400


def test_content_length_twice() -> None:
    twice = [(b"content-length", b"5"), (b"content-length", b"5")]
    assert refused(*POST, *twice, end=False) == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([(b":method", b"CONNECT"), (b":authority", b"example.com:443")], 501),
        ([*GET, (b"expect", b"magic")], 417),
        ([*GET, *[(b"x-%d" % n, b"y") for n in range(250)]], 431),
        ([*GET, (b"x", b"y" * 33_000)], 431),
    ],
)
def test_proper_requests_that_are_not_served(fields: list[Field], status: int) -> None:
    assert refused(*fields) == status


@pytest.mark.parametrize("value", [b"trailers", b"Trailers"])
def test_te_trailers_may_stand(value: bytes) -> None:
    assert read(*GET, (b"te", value)).block.first(b"te") == value


def test_options_of_the_whole_server() -> None:
    fields = [(b":method", b"OPTIONS"), (b":path", b"*"), GET[1], GET[3]]
    assert read(*fields).target == b"*"


class TestSharing:
    def test_equal_blocks_share_the_head(self) -> None:
        reader = HeadReader(32 << 10)
        block = encode([*GET, (b"cookie", b"a=b")])
        first = reader.request(block, end=True)
        assert reader.request(block, end=True) is first
        assert reader.request(block, end=False) is not first

    def test_equal_fields_share_the_block_whatever_the_path(self) -> None:
        reader = HeadReader(32 << 10)
        heads = [
            reader.request(
                encode([*without(b":path"), (b":path", path), (b"cookie", b"a=b")]), end=True
            )
            for path in (b"/1", b"/2")
        ]
        assert heads[0].block is heads[1].block
        assert [head.target for head in heads] == [b"/1", b"/2"]

    def test_the_same_bytes_after_the_table_changed_are_read_anew(self) -> None:
        reader = HeadReader(32 << 10)
        reader.skip(hpack.Encoder().encode([(b"x-user", b"alice")]))
        block = encode(GET) + b"\xbe"
        for _ in range(2):
            assert reader.request(block, end=True).block.first(b"x-user") == b"alice"
        for change, user in ((reader.trailers, b"mallory"), (reader.skip, b"eve")):
            change(hpack.Encoder().encode([(b"x-user", user)]))
            assert reader.request(block, end=True).block.first(b"x-user") == user

    def test_a_block_that_only_adds_is_remembered_with_what_it_adds(self) -> None:
        reader = HeadReader(32 << 10)
        block = encode(GET) + b"\x40\x06x-user\x05alice"
        first = reader.request(block, end=True)
        reader.skip(hpack.Encoder().encode([(b"x-user", b"mallory")]))
        assert reader.request(block, end=True) is first
        again = reader.request(encode(GET) + b"\xbe", end=True)
        assert again.block.first(b"x-user") == b"alice"

    def test_memory_is_bounded(self) -> None:
        reader = HeadReader(32 << 10)
        for number in range(500):
            reader.request(encode([*GET, (b"x-number", b"%d" % number)]), end=True)
        assert len(reader._heads) <= 16
        assert len(reader._fixed) <= 16
        assert len(reader._blocks) <= 16

    def test_large_heads_are_not_remembered(self) -> None:
        reader = HeadReader(32 << 10)
        reader.request(encode([*GET, (b"x", b"y" * 9000)]), end=True)
        reader.skip(hpack.Encoder().encode([(b"x-large", b"y" * 3000)], huffman=False))
        reader.request(encode(GET) + b"\xbe" * 5, end=True)
        assert not reader._heads
        assert not reader._fixed
        assert not reader._blocks


class TestResponses:
    def read(self, *fields: Field, end: bool = False) -> tuple[int, int | None, bool]:
        head = HeadReader(32 << 10).response(encode(fields), end=end)
        return head.status, head.content_length, head.has_body

    @pytest.mark.parametrize(
        ("status", "length", "end", "expected"),
        [
            (b"200", None, False, (200, None, True)),
            (b"200", b"7", False, (200, 7, True)),
            (b"200", b"0", False, (200, 0, False)),
            (b"200", None, True, (200, None, False)),
            (b"204", None, True, (204, None, False)),
            (b"304", b"99", True, (304, 99, False)),
            (b"103", None, False, (103, None, False)),
        ],
    )
    def test_heads(
        self, status: bytes, length: bytes | None, end: bool, expected: tuple[int, int | None, bool]
    ) -> None:
        fields = [(b":status", status)]
        if length is not None:
            fields.append((b"content-length", length))
        assert self.read(*fields, end=end) == expected

    @pytest.mark.parametrize(
        "fields",
        [
            [],
            [(b"server", b"x")],
            [(b":status", b"20")],
            [(b":status", b"+200")],
            [(b":status", b"600")],
            [(b":status", b"101")],
            [(b":status", b"200"), (b":status", b"200")],
            [(b":status", b"200"), (b":path", b"/")],
            [(b":status", b"200"), (b"connection", b"close")],
            [(b":status", b"200"), (b"transfer-encoding", b"chunked")],
            [(b":status", b"200"), (b"x", b"a\r\nb")],
            [(b":status", b"200"), (b"content-length", b"1"), (b"content-length", b"1")],
        ],
    )
    def test_malformed(self, fields: list[Field]) -> None:
        with pytest.raises(H2StreamError):
            self.read(*fields)

    def test_an_informational_head_cannot_end_the_stream(self) -> None:
        with pytest.raises(H2StreamError):
            self.read((b":status", b"103"), end=True)


class TestTrailers:
    def test_what_could_change_the_head_is_dropped(self) -> None:
        fields = [(b"grpc-status", b"0"), (b"authorization", b"x"), (b"content-length", b"9")]
        assert HeadReader(1000).trailers(encode(fields)) == ((b"grpc-status", b"0"),)

    @pytest.mark.parametrize("name", [b":path", b"Upper", b"connection", b"a b"])
    def test_malformed(self, name: bytes) -> None:
        with pytest.raises(H2StreamError):
            HeadReader(1000).trailers(encode([(name, b"x")]))


@given(st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=6)), max_size=3))
def test_only_valid_fields_come_through(fields: list[Field]) -> None:
    try:
        head = read(*GET, *fields)
    except H2StreamError:
        return
    for name, value in head.block.fields:
        assert name == name.lower()
        assert name
        assert not set(name) & set(b"\0\r\n :")
        assert not set(value) & set(b"\0\r\n")
        assert value == value.strip(b" \t")


@given(st.binary(max_size=80), st.booleans())
def test_any_block_is_read_or_refused(block: bytes, end: bool) -> None:
    reader = HeadReader(32 << 10)
    for call in (
        lambda: reader.request(block, end=end),
        lambda: reader.response(block, end=end),
        lambda: reader.trailers(block),
    ):
        try:
            call()
        except H2StreamError:
            continue
        except H2ConnectionError:
            return
