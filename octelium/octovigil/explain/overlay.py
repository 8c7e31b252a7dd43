"""Fields laid over a resource: what a caller supposes of a Session or a Device."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from octelium.octovigil.inquiry import InquiryError
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")

_FIXED: Final = (
    "api_version",
    "kind",
    "metadata.uid",
    "metadata.name",
    "status.user_ref",
    "status.device_ref",
)
"""Who takes part is told by the inquiry, and by nothing laid over it."""


def overlaid(message: M, fields: Mapping[str, Any], name: str) -> M:
    """A copy of `message` with `fields`, in JSON form, laid over it; null takes a field away.

    Objects are laid over objects key by key, anything else replaces what stands there. `name` is
    what error texts call the fields.

    Raises:
        InquiryError: a field does not exist, has another type, or tells who takes part.
    """
    try:
        made = from_json(type(message), _merged(to_json(message), fields))
    except Invalid as error:
        raise InquiryError(str(error.within(name))) from None
    for path in _FIXED:
        if _differ(attrgetter(path), message, made):
            raise InquiryError(f"{name}: {path} cannot be supposed")
    return made


def _differ(read: Callable[[Any], object], before: object, after: object) -> bool:
    try:
        return read(before) != read(after)
    except AttributeError:
        return False  # a Device has no Device


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
