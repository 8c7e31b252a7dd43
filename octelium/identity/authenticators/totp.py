"""Time-based one-time passwords (RFC 6238) with SHA-1, 6 digits and steps of 30 seconds.

These are the values that every app on telephones knows; many ignore others.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from typing import Final
from urllib.parse import quote, urlencode

PERIOD: Final = 30
DIGITS: Final = 6
SKEW: Final = 1
"""Steps that a clock may be early or late by (RFC 6238 section 5.2)."""
SECRET_BYTES: Final = 20
"""As many as the hash has (RFC 4226 section 4)."""
MAX_RESPONSE: Final = 16

_CODE: Final = re.compile(r"[0-9]{6}")


def new_secret() -> bytes:
    """A random secret."""
    return secrets.token_bytes(SECRET_BYTES)


def step_at(now: float) -> int:
    """The time step of a moment in Unix seconds."""
    return int(now) // PERIOD


def code(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The password of a time step (RFC 4226 section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}}"


def accepted_step(secret: bytes, response: str, now: float, last: int) -> int | None:
    """The time step whose password `response` is; None if it is that of none that counts.

    Steps up to `last` do not count: each password is good for one use (RFC 6238 section 5.2).
    Blanks within the response are ignored, as apps show groups of digits.
    """
    if len(response) > MAX_RESPONSE:
        return None
    response = response.replace(" ", "")
    if _CODE.fullmatch(response) is None:
        return None
    current = step_at(now)
    found: int | None = None
    for step in range(current - SKEW, current + SKEW + 1):
        # Every step is compared, so that the time it takes tells nothing.
        same = hmac.compare_digest(code(secret, max(step, 0)), response)
        if same and step > last and found is None:
            found = step
    return found


def text_of(secret: bytes) -> str:
    """The secret in base32 without padding, to be typed into an app."""
    return base64.b32encode(secret).rstrip(b"=").decode()


def url(secret: bytes, issuer: str, account: str) -> str:
    """The `otpauth:` URL that apps read from a QR code.

    https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    """
    query = urlencode(
        {
            "secret": text_of(secret),
            "issuer": issuer,
            "algorithm": "SHA1",
            "digits": DIGITS,
            "period": PERIOD,
        },
        quote_via=quote,
    )
    return f"otpauth://totp/{quote(issuer, safe='')}:{quote(account, safe='')}?{query}"
