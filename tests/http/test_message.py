from __future__ import annotations

from octelium.http.message import MAX_DERIVED, FieldBlock, HeaderBlock


def test_look_ups() -> None:
    block = HeaderBlock(((b"a", b"1"), (b"b", b"2"), (b"a", b"3")))
    assert block.first(b"a") == b"1"
    assert block.all(b"a") == [b"1", b"3"]
    assert block.all(b"b") == [b"2"]
    assert block.all(b"c") == []
    assert block.repeated == {b"a"}


def test_what_is_remembered_is_bounded() -> None:
    block = HeaderBlock(((b"a", b"1"),))
    for number in range(MAX_DERIVED * 3):
        block.remember(number, number)
        assert len(block.derived) <= MAX_DERIVED
    assert block.derived[MAX_DERIVED * 3 - 1] == MAX_DERIVED * 3 - 1


def test_values_do_not_show_in_representations() -> None:
    fields = ((b"authorization", b"secret"),)
    assert "secret" not in repr(HeaderBlock(fields))
    assert "secret" not in repr(FieldBlock(fields))
    assert "authorization" in repr(HeaderBlock(fields))


def test_the_wire_form_of_a_block() -> None:
    block = FieldBlock([(b"content-length", b"5"), (b"x", b"")])
    assert block.content_length == 5
    assert block.h1 == b"content-length: 5\r\nx: \r\n"
    assert block.fields == ((b"content-length", b"5"), (b"x", b""))
    assert FieldBlock.of_lines(b"X-Y: a: b\r\nZ: \r\n", None).fields == (
        (b"x-y", b"a: b"),
        (b"z", b""),
    )
    assert FieldBlock([(b"x", b"y")]).content_length is None
