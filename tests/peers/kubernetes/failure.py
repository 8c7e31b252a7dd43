"""What the server answers when it refuses: a Status object.

The shapes are those of `meta/v1` Status in the Kubernetes API conventions, "Response Status Kind".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.peers.kubernetes.resources import Resource


class Failure(Exception):  # noqa: N818 - the field's word for a Status that is no success
    """A request that is refused, with its Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}

    @property
    def status(self) -> dict[str, Any]:
        """The Status object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return status | {"code": self.code}


def about(resource: Resource, name: str = "") -> dict[str, Any]:
    """The `details` of an answer about an object."""
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> Failure:
    """400."""
    return Failure(400, "BadRequest", message)


def not_found(resource: Resource, name: str) -> Failure:
    """404."""
    message = f'{resource.qualified} "{name}" not found'
    return Failure(404, "NotFound", message, about(resource, name))


def exists(resource: Resource, name: str) -> Failure:
    """409 of a create."""
    message = f'{resource.qualified} "{name}" already exists'
    return Failure(409, "AlreadyExists", message, about(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> Failure:
    """409 of an update of another version than the newest."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version"
        " and try again"
    )
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return Failure(409, "Conflict", message, about(resource, name))


def gone(message: str) -> Failure:
    """410: a version that history no longer has."""
    return Failure(410, "Expired", message)


def too_large(wanted: int, current: int) -> Failure:
    """504: a version that is not there yet."""
    return Failure(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {wanted}, current: {current}",
        {
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        },
    )


def forbidden(resource: Resource, name: str, why: str) -> Failure:
    """403."""
    named = f' "{name}"' if name else ""
    message = f"{resource.qualified}{named} is forbidden: {why}"
    return Failure(403, "Forbidden", message, about(resource, name))


def cause(reason: str, field: str, message: str) -> dict[str, str]:
    """One of the causes of `invalid`, for example of reason `FieldValueRequired`."""
    return {"reason": reason, "message": message, "field": field}


def invalid(resource: Resource, name: str, causes: Sequence[dict[str, str]]) -> Failure:
    """422."""
    said = [f"{one['field']}: {one['message']}" for one in causes]
    text = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = about(resource, name) | {"kind": resource.kind, "causes": list(causes)}
    return Failure(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)
