"""What validation needs from others: look-ups in the store and the check of expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.schema.pb import core_v1_pb2 as core


class View(Protocol):
    """The resources as the running transaction sees them.

    Kinds are given by name (`"Service"`), resources by their stored name (`"wiki.default"`).
    Secrets and Configs come with their data.
    """

    def get(self, kind: str, name: str) -> Any | None:
        """The resource of that name, or None."""

    def list(self, kind: str) -> Iterable[Any]:
        """All resources of a kind."""

    def labelled(self, kind: str, label: str, value: str) -> Iterable[Any]:
        """The resources whose `metadata.specLabels` hold `label` with `value`."""


class ExpressionChecker(Protocol):
    """Compiles expressions. Each method raises Invalid, at or below `path`, for a bad one."""

    def check_condition(self, condition: core.Condition, path: str) -> None:
        """Check every expression of a condition whose shape has been checked."""

    def check_cel(self, text: str, path: str) -> None:
        """Check a CEL expression of any result type."""

    def check_groups(self, config: core.Config) -> None:
        """Check a Config that says which groups the assertions of an IdentityProvider name."""

    def check_rego(self, text: str, path: str) -> None:
        """Check a Rego module."""
