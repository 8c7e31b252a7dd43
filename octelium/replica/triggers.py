"""What attaches Policies to requests besides the resources that take part in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.replica.entries import ClusterConfigEntry, PolicyTriggerEntry


@dataclass(frozen=True, slots=True, eq=False)
class Trigger:
    """Policies that apply whenever `pre_condition` holds.

    `source` is where they are attached: a PolicyTrigger, or the ClusterConfig, whose
    `spec.authorization` applies to every request.
    """

    source: PolicyTriggerEntry | ClusterConfigEntry
    pre_condition: core.PolicyTriggerStatusPreCondition
    policies: tuple[str, ...]
    inline_policies: tuple[core.InlinePolicy, ...]


_ALWAYS = core.PolicyTriggerStatusPreCondition(match_any=True)


def triggers_of(
    cluster_config: ClusterConfigEntry | None, entries: Iterable[PolicyTriggerEntry]
) -> tuple[Trigger, ...]:
    """Every trigger that is enabled, the ClusterConfig's first."""
    found = []
    if cluster_config is not None:
        authorization = cluster_config.message.spec.authorization
        if authorization.policies or authorization.inline_policies:
            found.append(
                Trigger(
                    cluster_config,
                    _ALWAYS,
                    tuple(authorization.policies),
                    tuple(authorization.inline_policies),
                )
            )
    for entry in entries:
        if not entry.is_disabled:
            status = entry.message.status
            found.append(
                Trigger(
                    entry,
                    status.pre_condition,
                    tuple(status.policies),
                    tuple(status.inline_policies),
                )
            )
    return tuple(found)
