"""Resources in their JSON form: as YAML shows them, as conditions see them, as logs keep them."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import Message

from octelium.schema import json_reader, json_writer
from octelium.schema.errors import Invalid, Step, render_path

M = TypeVar("M", bound=Message)


def to_json(message: Message) -> dict[str, Any]:
    """The JSON form of a message, with defaults left out."""
    return json_writer.write(message)


def from_json(message_class: type[M], value: Any) -> M:
    """A message out of its JSON form.

    Raises Invalid for the first value that is unknown, of another type or out of range.
    """
    message = message_class()
    problems = json_reader.read(message, value, most=1)
    if problems:
        first = problems[0]
        raise Invalid(render_path(first.steps), first.problem, first.remedy)
    return message


def differences(a: Message, b: Message) -> list[str]:
    """The paths of the fields in which two messages differ, in JSON names, sorted as met.

    Lists of different length differ as a whole, others entry by entry.
    """
    found: list[str] = []
    _compare(to_json(a), to_json(b), (), found)
    return found


_ABSENT = object()


def _compare(a: Any, b: Any, steps: tuple[Step, ...], found: list[str]) -> None:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            _compare(a.get(key, _ABSENT), b.get(key, _ABSENT), (*steps, key), found)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (left, right) in enumerate(zip(a, b, strict=True)):
            _compare(left, right, (*steps, index), found)
    elif a is _ABSENT or b is _ABSENT or isinstance(a, bool) != isinstance(b, bool) or a != b:
        found.append(render_path(steps))
