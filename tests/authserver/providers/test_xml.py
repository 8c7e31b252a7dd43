from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.providers.xml import XmlError, parse, serialized, text_of
from tests.peers.timing import within

LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><a>&a9;</a>"
)


def test_a_document() -> None:
    for text in (
        "<a>b</a>",
        '<?xml version="1.0" encoding="UTF-8"?>\n<a>b</a>',
        '<?xml version="1.0" encoding="utf-16"?><a>b</a>',  # it is UTF-8 all the same
        "\ufeff<a>b</a>",
        "\n <a> b\n</a>",
    ):
        for plain in (False, True):
            assert text_of(parse(text.encode(), largest=100, plain=plain)) == "b"


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "<!DOCTYPE a><a/>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "https://example.com/x">%x;]><a/>',
        '<?xml version="1.0"?><!DOCTYPE a><a/>',
        "<!-- x --><!DOCTYPE a><a/>",
        "<a>&x;</a>",
        "<a>",
        "",
        "text",
        "<a/><b/>",
        "<a>\x00</a>",
        "<a b='1' b='2'/>",
        "<a:b/>",
        "<a>" * 5000 + "</a>" * 5000,
    ],
)
def test_documents_that_are_not_read(text: str) -> None:
    for plain in (False, True):
        with within(10), pytest.raises(XmlError):
            parse(text.encode(), largest=1 << 20, plain=plain)


def test_encodings_and_sizes() -> None:
    for data in ("<a>é</a>".encode("latin-1"), "<a/>".encode("utf-16"), b"+ADw-a+AD4-"):
        with pytest.raises(XmlError):
            parse(data, largest=100)
    with pytest.raises(XmlError, match="larger than 10"):
        parse(b"<a>1234</a>", largest=10)


def test_comments() -> None:
    document = b"<a>x<!-- c --><![CDATA[<]]><?pi?>y</a>"
    assert text_of(parse(document, largest=100)) == "x<y"
    for part in (b"<!-- c -->", b"<![CDATA[<]]>", b"<?pi?>"):
        with pytest.raises(XmlError, match="comments, instructions"):
            parse(b"<a>x" + part + b"y</a>", largest=100, plain=True)
        for outside in (part + b"<a/>", b"<a/>" + part):
            with pytest.raises(XmlError):
                parse(outside, largest=100, plain=True)


def test_elements_as_documents() -> None:
    root = parse(b'<x:a xmlns:x="u"><x:b>c</x:b>tail</x:a>', largest=100)
    assert serialized(root[0]) == '<x:b xmlns:x="u">c</x:b>'


@given(st.binary(max_size=100) | st.text(max_size=100).map(lambda text: f"<a>{text}</a>".encode()))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        root = parse(data, largest=1000, plain=True)
    except XmlError:
        return
    again = parse(serialized(root).encode(), largest=100_000, plain=True)
    assert serialized(again) == serialized(root)


def test_only_the_white_space_of_xml_is_around_a_text() -> None:
    document = "<a>\n\t ann@example.com\u00a0 \r\n</a>"
    assert text_of(parse(document.encode(), largest=100)) == "ann@example.com\u00a0"
