"""Whether a resource may be stored.

`validate` applies every rule of the public API to one resource, `complete` then sets what the
Cluster computes of it, `check_deletion` tells whether it may go. All raise Invalid, which names the
field, the fault and the remedy, and none of them writes anything.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from octelium.schema.errors import Invalid
from octelium.schema.kinds import kind_of

# Modules that register rules.
from octelium.schema.validation import (  # noqa: F401
    attributes,
    cluster_config,
    conditions,
    config,
    credential,
    durations,
    http_config,
    identity_provider,
    kubeconfig,
    namespace,
    policy,
    rules,
    secret,
    session,
    texts,
    upstream,
    user,
)
from octelium.schema.validation import service as services
from octelium.schema.validation.computed import complete
from octelium.schema.validation.deletion import check_deletion
from octelium.schema.validation.metadata import check_metadata
from octelium.schema.validation.view import ExpressionChecker, View

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core

__all__ = [
    "ExpressionChecker",
    "View",
    "check_deletion",
    "complete",
    "validate",
    "validate_config",
]


def validate(
    resource: Any,
    view: View,
    *,
    old: Any = None,
    expressions: ExpressionChecker,
    now: float | None = None,
) -> None:
    """Apply every rule of its kind to a resource that is to be created or updated.

    `old` is the stored resource of an update. `now` is in Unix seconds, by default the clock's.
    Raises Invalid for the first fault.
    """
    kind = kind_of(resource)
    if not resource.HasField("metadata"):
        raise Invalid("metadata", "is missing", "write metadata: {name: ...}")
    if not resource.HasField("spec"):
        raise Invalid("spec", "is missing", "write spec: {} when there is nothing to say")
    check_metadata(kind, resource.metadata)
    validator = rules.Validator(
        view=view,
        expressions=expressions,
        now=time.time() if now is None else now,
        old=old,
        root=resource,
    )
    rules.check_resource(resource, validator)


def validate_config(
    service_config: core.ServiceSpecConfig,
    service: core.Service,
    *,
    view: View | None,
    expressions: ExpressionChecker,
) -> None:
    """Apply the rules of a Service's config to one that an expression has computed.

    Without a view, the existence of what it names is not checked. Raises Invalid.
    """
    services.check_mode(service_config, service.spec.mode, "config")
    validator = rules.Validator(
        view=view, expressions=expressions, now=time.time(), old=service, root=service
    )
    rules.check(service_config, "config", validator)
