"""The settings of one Service that the official schema has no place for: `spec.attrs.octelium`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core

SETTINGS_KEY: Final = "octelium"
CROSS_ORIGIN: Final = "crossOrigin"
"""Whether pages of other origins may send what changes something, signed in as the visitor."""
ALLOW: Final = "allow"
REFUSE: Final = "refuse"


def allows_cross_origin(spec: core.ServiceSpec) -> bool:
    """Whether a Service does without the check of origins; by default it does not."""
    settings = spec.attrs.fields.get(SETTINGS_KEY)
    if settings is None:
        return False
    setting = settings.struct_value.fields.get(CROSS_ORIGIN)
    return setting is not None and setting.string_value == ALLOW
