"""Whether a resource may be stored.

`validate` applies every rule of the public API to one resource, `complete` then sets what the
Cluster computes of it, `check_deletion` tells whether it may go. All raise Invalid, which names the
field, the fault and the remedy; only `complete` writes.
"""

from __future__ import annotations

from octelium.schema.validation.computed import complete
from octelium.schema.validation.deletion import check_deletion
from octelium.schema.validation.resource import validate, validate_config
from octelium.schema.validation.view import ExpressionChecker, View

__all__ = [
    "ExpressionChecker",
    "View",
    "check_deletion",
    "complete",
    "validate",
    "validate_config",
]
