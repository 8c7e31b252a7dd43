"""Base64, hexadecimal digits, and queries of URLs.

Texts stand for their bytes in UTF-8; bytes that are none come out with U+FFFD in their place.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote_plus, unquote_to_bytes

from octelium.policy.rego.functions.arguments import made, mapping, text, texts
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Array, Boolean, Meter, Object, Set, boolean, ordered

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_MAX_FIELDS: Final = 10_000


def decoded(data: bytes) -> str:
    """Bytes as text."""
    return data.decode("utf-8", "replace")


def base64_bytes(given: str) -> bytes:
    """What standard base64 stands for; line breaks in it do not count.

    Raises:
        RegoError: it is none.
    """
    try:
        return base64.b64decode(given.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RegoError(f"this is no base64: {error}") from None


def base64url_bytes(given: str) -> bytes:
    """What base64 for URLs stands for, with padding or without.

    Raises:
        RegoError: it is none.
    """
    plain = given.replace("\n", "").replace("\r", "")
    if "+" in plain or "/" in plain:
        raise RegoError("this is no base64 for URLs")
    padded = plain if plain.endswith("=") else plain + "=" * (-len(plain) % 4)
    return base64_bytes(padded.translate(_URL))


_URL: Final = str.maketrans("-_", "+/")


def _encode(meter: Meter, value: Any) -> str:
    return made(base64.b64encode(text(value).encode()).decode(), meter)


def _decode(meter: Meter, value: Any) -> str:
    return made(decoded(base64_bytes(text(value))), meter)


def _is_valid(meter: Meter, value: Any) -> Boolean:
    if type(value) is not str:
        return boolean(0)
    meter.charge_size(value)
    try:
        base64_bytes(value)
    except RegoError:
        return boolean(0)
    return boolean(1)


def _url_encode(meter: Meter, value: Any) -> str:
    return made(base64.urlsafe_b64encode(text(value).encode()).decode(), meter)


def _url_encode_bare(meter: Meter, value: Any) -> str:
    return _url_encode(meter, value).rstrip("=")


def _url_decode(meter: Meter, value: Any) -> str:
    return made(decoded(base64url_bytes(text(value))), meter)


def _hex_encode(meter: Meter, value: Any) -> str:
    return made(text(value).encode().hex(), meter)


def _hex_decode(meter: Meter, value: Any) -> str:
    try:
        return made(decoded(binascii.unhexlify(text(value))), meter)
    except (binascii.Error, ValueError) as error:
        raise RegoError(f"these are no hexadecimal digits: {error}") from None


def _query_encode(meter: Meter, value: Any) -> str:
    return made(quote_plus(text(value), safe=""), meter)


def _query_decode(meter: Meter, value: Any) -> str:
    meter.charge(len(text(value)) >> 3)
    return made(_unescaped(value), meter)


def _unescaped(value: str) -> str:
    at = value.find("%")
    while at >= 0:
        digits = value[at + 1 : at + 3]
        if len(digits) != 2 or not set(digits) <= _HEX:
            raise RegoError(f"invalid escape {value[at : at + 3]!r}")
        at = value.find("%", at + 3)
    return decoded(unquote_to_bytes(value.replace("+", " ")))


_HEX: Final = frozenset("0123456789abcdefABCDEF")


def _encode_object(meter: Meter, value: Any) -> str:
    """Fields in the order of their names; an array or set gives a field per element."""
    pairs: list[str] = []
    for name in ordered(mapping(value)):
        item = value[name]
        if type(item) is Array:
            values = texts(item)
        elif type(item) is Set:
            values = ordered(texts(item))
        else:
            values = [text(item)]
        meter.charge(1 + len(values))
        pairs += (
            f"{quote_plus(text(name), safe='')}={quote_plus(each, safe='')}" for each in values
        )
    return made("&".join(pairs), meter)


def _decode_object(meter: Meter, value: Any) -> Object:
    meter.charge(len(text(value)) >> 3)
    if ";" in value:
        raise RegoError("a query has no semicolons")
    _unescaped(value)
    try:
        pairs = parse_qsl(value, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise RegoError(str(error)) from None
    result = Object()
    for name, item in pairs:
        result.setdefault(name, Array()).append(item)
    return result


FUNCTIONS: Final[Functions] = {
    "base64.decode": (_decode, 1),
    "base64.encode": (_encode, 1),
    "base64.is_valid": (_is_valid, 1),
    "base64url.decode": (_url_decode, 1),
    "base64url.encode": (_url_encode, 1),
    "base64url.encode_no_pad": (_url_encode_bare, 1),
    "hex.decode": (_hex_decode, 1),
    "hex.encode": (_hex_encode, 1),
    "urlquery.decode": (_query_decode, 1),
    "urlquery.decode_object": (_decode_object, 1),
    "urlquery.encode": (_query_encode, 1),
    "urlquery.encode_object": (_encode_object, 1),
}
