"""Fields laid over a resource: what a caller supposes of a Session or a Device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from octelium.octovigil.inquiry import InquiryError
from octelium.schema.errors import Invalid, under
from octelium.schema.jsonform import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")

_FIXED: Final = frozenset(
    {
        ("apiVersion",),
        ("kind",),
        ("metadata", "uid"),
        ("metadata", "name"),
        ("status", "userRef"),
        ("status", "deviceRef"),
    }
)
"""Who takes part is told by the inquiry, and by nothing laid over it."""


def overlaid(message: M, fields: Mapping[str, Any], name: str) -> M:
    """A copy of `message` with `fields`, in JSON form, laid over it; null takes a field away.

    Objects are laid over objects key by key, anything else replaces what stands there. `name` is
    what error texts call the fields.

    Raises:
        InquiryError: a field does not exist, has another type, or tells who takes part.
    """
    for path in _FIXED:
        if _leads(fields, path):
            where = under(name, ".".join(path)) if len(path) == 1 else f"{name}.{'.'.join(path)}"
            raise InquiryError(f"{where}: cannot be supposed")
    try:
        return from_json(type(message), _merged(to_json(message), fields))
    except Invalid as error:
        raise InquiryError(str(error.within(name))) from None


def _leads(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    value: Any = fields
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def _merged(base: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in fields.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged
