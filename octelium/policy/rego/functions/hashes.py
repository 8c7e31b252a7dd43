"""Hashes and message authentication codes, in hexadecimal digits."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import text
from octelium.policy.rego.values import Boolean, Meter, boolean

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions


def _hash(name: str) -> Any:
    def digest(meter: Meter, value: Any) -> str:
        meter.charge_size(text(value))
        return hashlib.new(name, value.encode(), usedforsecurity=False).hexdigest()

    return digest


def _mac(name: str) -> Any:
    def digest(meter: Meter, value: Any, key: Any) -> str:
        meter.charge_size(text(value))
        return hmac.new(text(key, 2).encode(), value.encode(), name).hexdigest()

    return digest


def _equal(meter: Meter, left: Any, right: Any) -> Boolean:
    """In a time that tells nothing about where they differ."""
    meter.charge_size(text(left))
    return boolean(hmac.compare_digest(left.encode(), text(right, 2).encode()))


FUNCTIONS: Final[Functions] = {
    "crypto.hmac.equal": (_equal, 2),
    **{f"crypto.hmac.{name}": (_mac(name), 2) for name in ("md5", "sha1", "sha256", "sha512")},
    **{f"crypto.{name}": (_hash(name), 1) for name in ("md5", "sha1", "sha256")},
}
