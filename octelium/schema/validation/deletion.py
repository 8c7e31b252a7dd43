"""What may not be deleted because others depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.schema import names
from octelium.schema.errors import Invalid
from octelium.schema.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.schema.validation.view import View


def check_deletion(resource: Any, view: View) -> None:
    """Refuse to delete a resource that others depend on. Raises Invalid, naming one of them."""
    check = _CHECKS.get(kind_of(resource).name)
    if check is not None:
        check(resource.metadata.name, view)


def _check_namespace(name: str, view: View) -> None:
    for service in view.list("Service"):
        if names.split_service_name(service.metadata.name)[1] == name:
            _refuse(f"the Namespace {name!r} has the Service {service.metadata.name!r}")


def _check_group(name: str, view: View) -> None:
    for user in view.list("User"):
        if name in user.spec.groups:
            _refuse(f"the Group {name!r} has the User {user.metadata.name!r}")


def _check_policy(name: str, view: View) -> None:
    for policy in view.list("Policy"):
        if policy.metadata.name.endswith(f".{name}"):
            _refuse(f"the Policy {name!r} has the child {policy.metadata.name!r}")


def _refuse(problem: str) -> None:
    raise Invalid("", problem, "delete or change that first")


_CHECKS: dict[str, Callable[[str, View], None]] = {
    "Namespace": _check_namespace,
    "Group": _check_group,
    "Policy": _check_policy,
}
