"""The versions of Kubernetes that every object is valid on, by their own JSON schemas."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Final

import kubernetes_validate  # type: ignore[import-untyped]  # it has no stubs

if TYPE_CHECKING:
    from octelium.controller.objects import Manifest

VERSIONS: Final = ("1.29", "1.30", "1.31", "1.32", "1.33", "1.34")


def fault_on(manifest: Manifest, version: str) -> str:
    """What a version refuses of an object, unknown fields included; empty if it takes it."""
    return _fault(json.dumps(manifest, sort_keys=True), version)


@cache
def _fault(text: str, version: str) -> str:
    try:
        kubernetes_validate.validate(json.loads(text), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return ""
