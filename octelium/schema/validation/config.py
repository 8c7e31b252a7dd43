"""Configs."""

from __future__ import annotations

from octelium.schema.errors import Invalid, under
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.identity_provider import GROUPS_ANNOTATION
from octelium.schema.validation.mmdb import database_of
from octelium.schema.validation.rules import Validator, rule

MAX_BYTES = 3 * 1024 * 1024
_MAX_KEYS = 256
_MAX_KEY_BYTES = 256


@rule(core.Config)
def check_config(config: core.Config, _path: str, validator: Validator) -> None:
    """A Config is written with its data, every time, and stays fit for what refers to it."""
    form = config.data.WhichOneof("type")
    if form is None:
        raise Invalid("data", "is missing", "write one of value, valueBytes, dataMap or attrs")
    if config.data.ByteSize() > MAX_BYTES:
        size = config.data.ByteSize()
        raise Invalid("data", f"is {size} bytes", f"at most {MAX_BYTES} are allowed")
    if form == "attrs" and not config.data.attrs.fields:
        raise Invalid("data.attrs", "is empty")
    if form in {"value", "value_bytes"} and not getattr(config.data, form):
        raise Invalid("data", "is empty")
    if form == "data_map":
        _check_map(config.data.data_map)
    _check_uses(config, validator)


def _check_uses(config: core.Config, validator: Validator) -> None:
    if validator.view is None:
        return
    name = config.metadata.name
    for provider in validator.view.list("IdentityProvider"):
        if provider.metadata.annotations.get(GROUPS_ANNOTATION) == name:
            validator.expressions.check_groups(config)
    cluster = validator.view.get("ClusterConfig", "default")
    if cluster is not None and cluster.spec.authentication.geolocation.mmdb.from_config == name:
        database_of(config)


def _check_map(data: core.ConfigDataDataMap) -> None:
    place = "data.dataMap.map"
    if not 1 <= len(data.map) <= _MAX_KEYS:
        raise Invalid(place, f"has {len(data.map)} keys", f"1 to {_MAX_KEYS} are allowed")
    for key, value in data.map.items():
        if not 1 <= len(key.encode()) <= _MAX_KEY_BYTES:
            raise Invalid(place, f"{key[:40]!r} is not a key", f"1 to {_MAX_KEY_BYTES} bytes")
        if not value:
            raise Invalid(under(place, key), "is empty")
