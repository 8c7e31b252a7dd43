"""Extension library "encoders": https://pkg.go.dev/github.com/google/cel-go/ext#Encoders."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import CelError
from octelium.policy.cel.operators import check_size
from octelium.policy.cel.values import Frame, no_overload

if TYPE_CHECKING:
    from collections.abc import Callable


def encode(frame: Frame, value: Any) -> str:
    """Bytes in base64 (RFC 4648 section 4) with padding."""
    if type(value) is not bytes:
        raise no_overload("base64.encode", value)
    check_size(frame, len(value) * 2)
    return b64encode(value).decode()


def decode(frame: Frame, value: Any) -> bytes:
    """The bytes of a base64 text, with or without its padding."""
    if type(value) is not str:
        raise no_overload("base64.decode", value)
    check_size(frame, len(value))
    try:
        data = value.encode("ascii")
        return b64decode(
            data + b"=" * (-len(data) % 4) if b"=" not in data else data, validate=True
        )
    except (binascii.Error, UnicodeEncodeError):
        raise CelError("base64.decode() needs base64") from None


FUNCTIONS: Final[dict[tuple[str, int], Callable[..., object]]] = {
    ("base64.encode", 1): encode,
    ("base64.decode", 1): decode,
}
