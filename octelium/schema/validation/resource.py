"""Validation of one whole resource, and of one config that an expression has computed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from octelium.schema.errors import Invalid
from octelium.schema.kinds import kind_of

# Importing these registers their rules.
from octelium.schema.validation import (  # noqa: F401
    attributes,
    cluster_config,
    conditions,
    config,
    container,
    credential,
    durations,
    http_config,
    identity_provider,
    kubeconfig,
    namespace,
    policy,
    secret,
    session,
    texts,
    upstream,
    user,
)
from octelium.schema.validation.metadata import check_metadata
from octelium.schema.validation.rules import Validator, check, check_resource
from octelium.schema.validation.service import check_mode

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.schema.validation.view import ExpressionChecker, View


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
    validator = Validator(
        view=view,
        expressions=expressions,
        now=time.time() if now is None else now,
        old=old,
        root=resource,
    )
    check_resource(resource, validator)


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
    check_mode(service_config, service.spec.mode, "config")
    validator = Validator(
        view=view, expressions=expressions, now=time.time(), old=service, root=service
    )
    check(service_config, "config", validator)
