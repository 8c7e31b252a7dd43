"""Secrets."""

from __future__ import annotations

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule

MAX_BYTES = 512 * 1024


def value_of(data: core.SecretData | core.SecretSpecData) -> bytes:
    """The bytes of a Secret's slot, whichever form they were given in."""
    return data.value.encode() if data.WhichOneof("type") == "value" else data.value_bytes


@rule(core.Secret)
def check_secret(secret: core.Secret, _path: str, _validator: Validator) -> None:
    """A Secret is written with its data, every time."""
    if not secret.HasField("data"):
        raise Invalid("data", "is missing", "write data: {value: ...}")
    _check(secret.data, "data")
    if secret.spec.HasField("data"):
        _check(secret.spec.data, "spec.data")


def _check(data: core.SecretData | core.SecretSpecData, path: str) -> None:
    size = len(value_of(data))
    if not 1 <= size <= MAX_BYTES:
        raise Invalid(path, f"is {size} bytes", f"1 to {MAX_BYTES} are allowed")
