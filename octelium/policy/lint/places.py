"""Where expressions stand in resources, and in which context each is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from octelium.policy.shape.contexts import Setting
from octelium.policy.shape.shape import Kind
from octelium.schema import fields
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from google.protobuf.message import Message

_EVAL: Final = "eval"
_PRE_AUTH: Final = core.ServiceSpecConfigHttpPluginPhase__.PRE_AUTH


@dataclass(frozen=True, slots=True)
class Place:
    """One expression of a resource; `path` is in JSON names."""

    path: str
    expression: core.Condition | str
    """A condition, or the text of an expression whose value is used."""
    setting: Setting
    in_policy: bool
    """Whether it stands in a Policy, named or inline, whose `attrs` it can read."""
    kind: Kind | None
    """The type that the value must have, if that is known."""


_SETTINGS: Final = {
    "IdentityProviderSpecAalRule": Setting.ASSERTION,
    "IdentityProviderSpecPostAuthenticationRule": Setting.LOGIN,
    "ClusterConfigSpecAuthenticatorEnforcementRule": Setting.ENFORCEMENT,
    "ClusterConfigSpecAuthenticatorRule": Setting.AUTHENTICATOR,
}
"""What the expressions of a message are evaluated for, if not for access."""

_RESULTS: Final = {
    "ServiceSpecConfigHttpHeaderKeyValue": Kind.STRING,
    "ServiceSpecConfigHttpHeaderHost": Kind.STRING,
    "ServiceSpecConfigHttpPluginRateLimitKey": Kind.STRING,
    "ServiceSpecConfigHttpPluginCacheKey": Kind.STRING,
    "ServiceSpecConfigLlmModel": Kind.STRING,
    "ServiceSpecDynamicConfigRule": Kind.MAP,
}
"""What the `eval` of a message must result in."""

_POLICY_RULES: Final = frozenset({"PolicySpecRule", "PolicySpecEnforcementRule"})
_PLUGINS: Final = frozenset(
    {
        "ServiceSpecConfigHttpPlugin",
        "ServiceSpecConfigMcpPlugin",
        "ServiceSpecConfigLlmPlugin",
    }
)


def places(resource: Message) -> Iterator[Place]:
    """All expressions of a resource's spec, in its order."""
    spec = getattr(resource, "spec", None)
    if spec is not None and _leads(spec.DESCRIPTOR):
        yield from _below(spec, "spec", Setting.ACCESS)


def _below(message: Any, path: str, setting: Setting) -> Iterator[Place]:
    descriptor: Descriptor = message.DESCRIPTOR
    name = descriptor.name
    setting = _SETTINGS.get(name, setting)
    if name in _PLUGINS and message.phase == _PRE_AUTH:
        setting = Setting.BEFORE_AUTHENTICATION
    leading = _leads(descriptor)
    for field, value in message.ListFields():
        find = leading.get(field.name)
        if find is None:
            continue
        place = f"{path}.{field.json_name}"
        if field.is_repeated:
            for index, item in enumerate(value):
                yield from find(item, f"{place}[{index}]", setting)
        else:
            yield from find(value, place, setting)


Find = Callable[[Any, str, Setting], Iterator[Place]]


@cache
def _leads(descriptor: Descriptor) -> dict[str, Find]:
    """The fields of a message at or below which expressions stand, and how to find them."""
    return {
        field.name: find
        for field in descriptor.fields
        if (find := _find(descriptor, field)) is not None
    }


def _find(owner: Descriptor, field: FieldDescriptor) -> Find | None:
    if field.name == _EVAL and field.type == FieldDescriptor.TYPE_STRING:
        return _value(_RESULTS.get(owner.name))
    if field.type != FieldDescriptor.TYPE_MESSAGE or fields.is_map(field):
        return None
    below = fields.message_type(field)
    if below.full_name == fields.CONDITION:
        return _condition(in_policy=owner.name in _POLICY_RULES)
    return _below if _leads_anywhere(below, frozenset()) else None


def _leads_anywhere(descriptor: Descriptor, seen: frozenset[str]) -> bool:
    if descriptor.full_name in seen or descriptor.full_name == fields.STRUCT:
        return False
    seen |= {descriptor.full_name}
    return any(
        (field.name == _EVAL and field.type == FieldDescriptor.TYPE_STRING)
        or (
            field.type == FieldDescriptor.TYPE_MESSAGE
            and not fields.is_map(field)
            and (
                fields.message_type(field).full_name == fields.CONDITION
                or _leads_anywhere(fields.message_type(field), seen)
            )
        )
        for field in descriptor.fields
    )


def _value(kind: Kind | None) -> Find:
    def find(text: str, path: str, setting: Setting) -> Iterator[Place]:
        yield Place(path, text, setting, in_policy=False, kind=kind)

    return find


def _condition(*, in_policy: bool) -> Find:
    def find(condition: core.Condition, path: str, setting: Setting) -> Iterator[Place]:
        yield Place(path, condition, setting, in_policy=in_policy, kind=None)

    return find
