"""Forms, read strictly: one meaning per body, or none.

What parsers disagree about (a name given twice, a broken escape, a field without `=`) is refused,
so nothing in front of or behind this server can have understood another form.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

MEDIA_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 64

_TEXT = re.compile(rb"(?:[!$'()*+,\-./0-9:;@A-Z_a-z~]|%[0-9A-Fa-f]{2})*")
_LINE_END = re.compile(rb"(?:%0[Dd])?%0[Aa]")


class FormError(ValueError):
    """A body that is no form; the text says why and repeats nothing of it."""


def parse_form(body: bytes, *, wrapped: bool = False) -> dict[str, str]:
    """Fields of an `application/x-www-form-urlencoded` body, but for those without a value.

    RFC 6749 section 3.2: a parameter without a value counts as omitted, and none may be repeated.
    With `wrapped` there may be line ends within values, as base64 in lines has them (RFC 2045
    section 6.8); they are left out.

    Raises:
        FormError: the body is malformed, or holds a name twice.
    """
    if not body:
        return {}
    pairs = body.split(b"&")
    if len(pairs) > MAX_FIELDS:
        raise FormError(f"the form has more than {MAX_FIELDS} fields")
    fields: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition(b"=")
        if not name or not equals:
            raise FormError("the form holds something that is not NAME=VALUE")
        field = _decode(name)
        if field in fields:
            raise FormError("a field is given more than once")
        fields[field] = _decode(_LINE_END.sub(b"", value) if wrapped else value)
    return {name: value for name, value in fields.items() if value}


def _decode(text: bytes) -> str:
    if _TEXT.fullmatch(text) is None:
        raise FormError("the form holds a character that must be escaped, or a broken escape")
    try:
        decoded = unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise FormError("the form holds text that is not UTF-8") from error
    if not decoded.isprintable():
        raise FormError("the form holds a control character")
    return decoded
