"""How resources are validated: rules by field and by message type, applied to every part.

A spec is walked part by part. For each message the tables of `limits` are applied (required
fields, texts, counts, numbers), then its parts are checked, then the rules of its type (registered
with `@rule`). A new rule is thus a function beside its kind; a field that holds a Secret's name, a
length of time or an expression is checked wherever it occurs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from octelium.schema import fields
from octelium.schema.errors import Invalid, under
from octelium.schema.names import is_reserved
from octelium.schema.validation import limits

if TYPE_CHECKING:
    from octelium.schema.validation.view import ExpressionChecker, View


@dataclass(frozen=True, slots=True)
class Validator:
    """One validation.

    `view` is None when references are not to be checked; `old` is the stored resource of an
    update, None for a creation; `now` is in Unix seconds.
    """

    view: View | None
    expressions: ExpressionChecker
    now: float
    old: Any = None
    root: Any = field(default=None)

    def reference(self, kind: str, name: str, path: str) -> None:
        """Refuse the name of a resource that does not exist."""
        if not name:
            raise Invalid(path, f"the name of a {kind} is missing")
        if self.view is not None and self.view.get(kind, name) is None:
            _missing(kind, name, path)

    def own_reference(self, kind: str, name: str, path: str) -> None:
        """As `reference`, for kinds whose system objects hold the Cluster's own keys.

        Those are refused as if they did not exist: whoever may write a Service would otherwise
        have them sent to an upstream of his.
        """
        if is_reserved(kind, name):
            _missing(kind, name, path)
        self.reference(kind, name, path)
        found = None if self.view is None else self.view.get(kind, name)
        if found is not None and (found.metadata.is_system or found.metadata.is_system_hidden):
            _missing(kind, name, path)


def absent(kind: str, name: str) -> str:
    """What is said of a reference to a resource that does not exist."""
    return f"there is no {kind} {name!r}"


def _missing(kind: str, name: str, path: str) -> NoReturn:
    raise Invalid(path, absent(kind, name), f"create the {kind} first")


Rule = Callable[[Any, str, Validator], None]
TextRule = Callable[[Any, str], None]

_rules: dict[str, list[Rule]] = {}
_text_rules: dict[str, Rule] = {}


def rule(message_class: type[Any]) -> Callable[[Rule], Rule]:
    """Register a rule for a message type: called with the message, its path and the Validator."""

    def register(function: Rule) -> Rule:
        _rules.setdefault(message_class.DESCRIPTOR.full_name, []).append(function)
        return function

    return register


def text_rule(name: str) -> Callable[[TextRule], TextRule]:
    """Register what the tables call `name`: a rule for single texts (or bytes) and their path."""

    def register(function: TextRule) -> TextRule:
        _text_rules[name] = lambda value, path, _: function(value, path)
        return function

    return register


def context_rule(name: str) -> Callable[[Rule], Rule]:
    """As `text_rule`, for a rule that needs the Validator as well."""

    def register(function: Rule) -> Rule:
        _text_rules[name] = function
        return function

    return register


def check(message: Any, path: str, validator: Validator) -> None:
    """Apply all rules to a message and to its parts. Raises Invalid for the first fault."""
    plan = _plan(message.DESCRIPTOR)
    for name in plan.required:
        present = message.HasField(name) if name in plan.messages else bool(getattr(message, name))
        if not present:
            raise Invalid(under(path, plan.json_names[name]), "is missing")
    for oneof, choices in plan.oneofs:
        if message.WhichOneof(oneof) is None:
            raise Invalid(path, f"needs one of {choices}")
    for descriptor, value in message.ListFields():
        part = plan.parts.get(descriptor.name)
        if part is not None:
            part(value, f"{path}.{descriptor.json_name}", validator)
    for apply in plan.rules:
        apply(message, path, validator)


def check_resource(resource: Any, validator: Validator) -> None:
    """Apply all rules to a resource: to its spec and data first, then those of its kind."""
    for part in ("spec", "data"):
        if part in resource.DESCRIPTOR.fields_by_name and resource.HasField(part):
            check(getattr(resource, part), part, validator)
    for apply in _rules.get(resource.DESCRIPTOR.full_name, ()):
        apply(resource, "", validator)


class _Plan:
    """What is applied to one message type."""

    __slots__ = ("json_names", "messages", "oneofs", "parts", "required", "rules")

    def __init__(self, descriptor: Descriptor) -> None:
        self.rules = _rules.get(descriptor.full_name, [])
        self.required = limits.REQUIRED.get(descriptor.name, ())
        self.json_names = {field.name: field.json_name for field in descriptor.fields}
        self.messages = {
            field.name
            for field in descriptor.fields
            if field.message_type is not None and not field.is_repeated
        }
        self.oneofs: list[tuple[str, str]] = []
        if descriptor.name not in limits.OPTIONAL_ONEOFS:
            self.oneofs = [
                (oneof.name, ", ".join(sorted(field.json_name for field in oneof.fields)))
                for oneof in descriptor.oneofs
            ]
        self.parts: dict[str, Rule] = {}
        if descriptor.full_name not in _WITHOUT_PARTS:
            for part in descriptor.fields:
                applied = _part(descriptor, part)
                if applied is not None:
                    self.parts[part.name] = applied


_WITHOUT_PARTS = frozenset({fields.STRUCT, fields.TIMESTAMP, fields.CONDITION, fields.DURATION})
_plans: dict[str, _Plan] = {}


def _plan(descriptor: Descriptor) -> _Plan:
    plan = _plans.get(descriptor.full_name)
    if plan is None:
        plan = _plans[descriptor.full_name] = _Plan(descriptor)
    return plan


def _part(owner: Descriptor, descriptor: FieldDescriptor) -> Rule | None:
    one = _single(owner, descriptor)
    if not descriptor.is_repeated or fields.is_map(descriptor):
        return one
    most = limits.count_of(owner.name, descriptor.name)

    def check_list(values: Any, path: str, validator: Validator) -> None:
        if len(values) > most:
            raise Invalid(path, f"has {len(values)} entries", f"at most {most} are allowed")
        if one is not None:
            for index, value in enumerate(values):
                one(value, f"{path}[{index}]", validator)

    return check_list


def _single(owner: Descriptor, descriptor: FieldDescriptor) -> Rule | None:
    if fields.is_map(descriptor):
        return None
    if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
        return check
    if descriptor.type == FieldDescriptor.TYPE_ENUM:
        return _known_value(descriptor)
    if descriptor.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
        return _text(owner, descriptor)
    bounds = limits.NUMBERS.get(f"{owner.name}.{descriptor.name}") or limits.NUMBERS.get(
        descriptor.name
    )
    return None if bounds is None else _number(*bounds)


def _known_value(descriptor: FieldDescriptor) -> Rule:
    known = frozenset(value.number for value in fields.enum_type(descriptor).values)

    def check_value(value: Any, path: str, _: Validator) -> None:
        if value not in known:
            raise Invalid(path, f"{value} is not a known value")

    return check_value


def _number(least: float, most: float) -> Rule:
    def check_number(value: Any, path: str, _: Validator) -> None:
        if not least <= value <= most:
            raise Invalid(path, f"{value} is out of range", f"{least} to {most} is allowed")

    return check_number


def _text(owner: Descriptor, descriptor: FieldDescriptor) -> Rule | None:
    found = limits.text_of(owner.name, descriptor.name)
    if found is None:
        return None
    name, most = found
    return _limited(_text_rules[name], most)


def _limited(apply: Rule, most: int) -> Rule:
    def check_text(value: Any, path: str, validator: Validator) -> None:
        if len(value) > most:
            raise Invalid(path, f"is {len(value)} long", f"at most {most} is allowed")
        apply(value, path, validator)

    return check_text
