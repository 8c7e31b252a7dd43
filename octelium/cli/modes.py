"""Modes of Services: which ones a Cluster of this version serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.cli.invocation import Invocation

SERVED = frozenset({"HTTP", "WEB", "GRPC", "TCP", "UDP", "DNS"})
"""The modes with a data plane."""


def warn_unserved(invocation: Invocation, messages: Iterable[Any]) -> None:
    """Warn of the Services among resources whose mode is only stored."""
    from octelium.cli.columns import enum_name

    for message in messages:
        if message.kind != "Service":
            continue
        mode = enum_name(message.spec, "mode")
        if mode and mode not in SERVED:
            invocation.terminal.warn(
                f"service/{message.metadata.name}: mode {mode} is stored but not served by this "
                "version"
            )
