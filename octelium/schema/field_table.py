"""The stored fields with their numbers and types, one line each.

A table of them is kept beside the tests, so that a change that would make stored bytes unreadable
is noticed.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2

STORED = ("octelium.token.v1.TokenT0", "octelium.token.v1.TokenContent")
"""What outlives a process beside the resources: tokens."""

_FIELD = descriptor_pb2.FieldDescriptorProto
_PREFIX = "octelium.api.main."


def table(files: descriptor_pb2.FileDescriptorSet, roots: list[str]) -> list[str]:
    """One line for each field and enum value that the messages `roots` (full names) consist of.

    Such as `core.v1.User.spec 4 core.v1.UserSpec` and `core.v1.UserSpecType__.HUMAN 1 enum`.
    """
    messages: dict[str, descriptor_pb2.DescriptorProto] = {}
    for file in files.file:
        for message in file.message_type:
            _collect(messages, file.package, message)
    lines: list[str] = []
    waiting = list(roots)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in messages:
            continue
        seen.add(name)
        for field in messages[name].field:
            lines.append(f"{_short(name)}.{field.name} {field.number} {_kind(field)}")
            is_enum = field.type == _FIELD.TYPE_ENUM
            kind = field.type_name.lstrip(".")
            waiting.append(kind.rpartition(".")[0] if is_enum else kind)
        for enum in messages[name].enum_type:
            lines.extend(f"{_short(name)}.{value.name} {value.number} enum" for value in enum.value)
    return sorted(lines)


def changes(before: list[str], after: list[str]) -> list[str]:
    """What of an earlier table is no longer so: fields gone, or of another number or type."""
    return sorted(set(before) - set(after))


def _collect(
    messages: dict[str, descriptor_pb2.DescriptorProto],
    scope: str,
    message: descriptor_pb2.DescriptorProto,
) -> None:
    name = f"{scope}.{message.name}"
    messages[name] = message
    for nested in message.nested_type:
        _collect(messages, name, nested)


def _kind(field: descriptor_pb2.FieldDescriptorProto) -> str:
    label = "repeated " if field.label == _FIELD.LABEL_REPEATED else ""
    if field.type_name:
        return label + _short(field.type_name.lstrip("."))
    return label + _FIELD.Type.Name(field.type).removeprefix("TYPE_").lower()


def _short(name: str) -> str:
    return name.removeprefix(_PREFIX)
