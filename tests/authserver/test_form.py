from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.form import MAX_FIELDS, FormError, parse_form


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=", {}),
        (b"a=x+y%20z", {"a": "x y z"}),
        (b"scope=api:core.MainService/ListUser", {"scope": "api:core.MainService/ListUser"}),
        (b"a=%C3%A9%2B%26%3D", {"a": "é+&="}),
        (b"a%5Bb%5D=1", {"a[b]": "1"}),
    ],
)
def test_forms(body: bytes, expected: dict[str, str]) -> None:
    assert parse_form(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"a",
        b"=1",
        b"&",
        b"a=1&",
        b"&a=1",
        b"a=1&&b=2",
        b"a=1&a=1",
        b"a=&a=1",
        b"a=1&%61=2",
        b"a=1;b=2&a=3",
        b"a=%",
        b"a=%2",
        b"a=%zz",
        b"a=%+1",
        b"a=b=c",
        b"a=%00",
        b"a=%0a",
        b"a=%C2%85",
        b"a=%ff",
        b"a=%C0%80",
        b"a=\xc3\xa9",
        b"a=x y",
        b"a=x\n",
        b'{"grant_type":"client_credentials"}',
        b"&".join(b"f%d=1" % number for number in range(MAX_FIELDS + 1)),
    ],
)
def test_refused(body: bytes) -> None:
    with pytest.raises(FormError) as caught:
        parse_form(body)
    assert str(caught.value)


def test_errors_repeat_nothing_of_the_body() -> None:
    for body in (b"client_secret=top&client_secret=top", b"client_secret=top%"):
        with pytest.raises(FormError) as caught:
            parse_form(body)
        assert "top" not in str(caught.value)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.isprintable)


@given(st.dictionaries(TEXTS, TEXTS, max_size=20))
def test_what_others_write_is_read(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode()) == fields


@given(st.one_of(st.binary(max_size=200), st.text("ab=&%+01;", max_size=30).map(str.encode)))
def test_anything_is_read_or_refused(body: bytes) -> None:
    try:
        fields = parse_form(body)
    except FormError:
        return
    assert all(name.isprintable() and value.isprintable() for name, value in fields.items())
    assert parse_form(urlencode(fields).encode()) == fields
