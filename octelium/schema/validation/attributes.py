"""Free-form attributes and the settings that they may hold for this implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import struct_pb2

from octelium.schema.errors import Invalid, under
from octelium.schema.json_writer import write
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.service_settings import ALLOW, CROSS_ORIGIN, REFUSE, SETTINGS_KEY
from octelium.schema.suggestion import did_you_mean
from octelium.schema.validation.rules import Validator, rule

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 20_000
_MAX_KEY = 100


def _check_cross_origin(value: Any, path: str) -> None:
    if value not in (ALLOW, REFUSE):
        raise Invalid(path, "is not a way to treat pages of other origins", f"{ALLOW} or {REFUSE}")


SERVICE_SETTINGS: dict[str, Callable[[Any, str], None]] = {CROSS_ORIGIN: _check_cross_origin}
"""The settings of one Service under `spec.attrs.octelium`, each with the check of its value."""


@rule(struct_pb2.Struct)
def check_attributes(attributes: struct_pb2.Struct, path: str, _validator: Validator) -> None:
    """Keys of attributes are camelCase at every level of objects, so that CEL can name them."""
    if attributes.ByteSize() > MAX_BYTES:
        raise Invalid(path, f"is {attributes.ByteSize()} bytes", f"at most {MAX_BYTES} are allowed")
    _check_keys(attributes, path)


def _check_keys(attributes: struct_pb2.Struct, path: str) -> None:
    for key, value in attributes.fields.items():
        if not (
            0 < len(key) <= _MAX_KEY and key.isalnum() and key[0].isalpha() and key[0].islower()
        ):
            remedy = "begin with a lower-case letter, go on with letters and digits"
            raise Invalid(under(path, key), f"{key[:_MAX_KEY]!r} is not a camelCase name", remedy)
        if value.WhichOneof("kind") == "struct_value":
            _check_keys(value.struct_value, under(path, key))


@rule(core.ServiceSpec)
def check_settings(spec: core.ServiceSpec, path: str, _validator: Validator) -> None:
    """What stands under `attrs.octelium` must be a setting that is known, with a valid value."""
    if SETTINGS_KEY not in spec.attrs.fields:
        return
    place = f"{path}.attrs.{SETTINGS_KEY}"
    settings = write(spec.attrs)[SETTINGS_KEY]
    if not isinstance(settings, dict):
        raise Invalid(place, "is not an object", "this key is for settings of the Service")
    for name, value in settings.items():
        known = SERVICE_SETTINGS.get(name)
        if known is None:
            choices = ", ".join(sorted(SERVICE_SETTINGS)) or "none exist for Services"
            remedy = did_you_mean(name, SERVICE_SETTINGS, otherwise=f"settings: {choices}")
            raise Invalid(under(place, name), "unknown setting", remedy)
        known(value, under(place, name))
