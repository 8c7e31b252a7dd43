"""Random contexts of the official messages, and random expressions over their shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor

from octelium.policy.cel.values import normalized
from octelium.policy.shape.shape import Kind, Shape
from octelium.schema import fields
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_WORDS: Final = ["", "a", "ann@example.com", "HUMAN", "GET", "/admin", "12", "2026-01-01T00:00:00Z"]
_DEPTH: Final = 5
_STRUCT: Final = {"level": 3, "tags": ["a", 1, True, None], "nested": {"x": [1]}, "off": False}


def fill(message: Any, chance: random.Random, depth: int = 0) -> Any:
    """Set about half of a message's fields, down to some depth, to random values."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.5 or depth > _DEPTH:
            continue
        if field.message_type is not None and fields.is_map(field):
            value = fields.message_type(field).fields_by_name["value"]
            if value.type == FieldDescriptor.TYPE_STRING:
                getattr(message, field.name)[chance.choice(["x-a", "b"])] = chance.choice(_WORDS)
        elif field.message_type is not None and field.is_repeated:
            for _ in range(chance.randrange(3)):
                fill(getattr(message, field.name).add(), chance, depth + 1)
        elif field.message_type is not None:
            _fill_part(getattr(message, field.name), chance, depth)
        elif field.is_repeated:
            getattr(message, field.name).extend(
                _scalar(field, chance) for _ in range(chance.randrange(3))
            )
        else:
            setattr(message, field.name, _scalar(field, chance))
    return message


def _fill_part(part: Any, chance: random.Random, depth: int) -> None:
    name = part.DESCRIPTOR.full_name
    if name == fields.STRUCT:
        part.update(_STRUCT)
    elif name == fields.TIMESTAMP:
        part.FromSeconds(chance.randrange(1, 2_000_000_000))
    else:
        part.SetInParent()
        fill(part, chance, depth + 1)


def _scalar(field: FieldDescriptor, chance: random.Random) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return chance.choice(_WORDS)
        case FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.TYPE_BYTES:
            return chance.choice([b"", b"x"])
        case FieldDescriptor.TYPE_ENUM:
            return chance.choice(fields.enum_type(field).values).number
    return chance.choice([0, 1, 8080])


def random_context(chance: random.Random) -> dict[str, Any]:
    """`ctx` of an access decision, as it is evaluated on."""
    whole = core.RequestContext()
    for part in ("service", "namespace", "session", "user", "device", "request"):
        if chance.random() < 0.8:
            fill(getattr(whole, part), chance)
    for _ in range(chance.randrange(3)):
        fill(whole.groups.add(), chance)
    context = normalized(to_json(whole))
    assert isinstance(context, dict)
    return context


class Expressions:
    """Random texts of expressions over a shape."""

    def __init__(self, ctx: Shape, chance: random.Random) -> None:
        self._ctx = ctx
        self._chance = chance

    def boolean(self, depth: int = 3) -> str:
        """An expression that is likely to result in a boolean."""
        chance = self._chance
        if depth and chance.random() < 0.6:
            make: Callable[[], str] = chance.choice(
                [
                    lambda: f"({self.boolean(depth - 1)} && {self.boolean(depth - 1)})",
                    lambda: f"({self.boolean(depth - 1)} || {self.boolean(depth - 1)})",
                    lambda: f"!({self.boolean(depth - 1)})",
                    lambda: f"({self.boolean(depth - 1)} ? {self.boolean(0)} : {self.boolean(0)})",
                    lambda: f"cel.bind(v, {self.path()}, v == {self.value()})",
                    lambda: f"{self.path()}.exists(g, g == {self.literal()})",
                    lambda: f"{self.path()}.all(g, g in {self.path()})",
                    lambda: f"ctx.groups.exists_one(g, {self.path('g', self._group())} == 'a')",
                    lambda: f"{self.path()}.map(g, g).size() == 1",
                    lambda: f"{self.path()}.filter(g, g != 'a').size() > 0",
                ]
            )
            return make()
        path = self.path()
        return chance.choice(
            [
                f"{path} == {self.value()}",
                f"{self.value()} != {path}",
                f"{path} {chance.choice(['<', '<=', '>', '>='])} {self.value()}",
                f"{path} {chance.choice('+-*/%')} {self.value()} == {self.value()}",
                f"{path} in {self.path()}",
                f"{path} in [{self.literal()}, {self.literal()}]",
                f"{self.literal()} in {path}",
                f"{path}.startsWith({self.value()})",
                f"{path}.contains({self.value()})",
                f"size({path}) == {chance.randrange(2)}",
                f"timestamp({path}) < now()",
                f"int({path}) > 3",
                f"string({path}) == '1'",
                f"{path}.hasAny(['a'])",
                f"net.isIPInRange({path}, '10.0.0.0/8')",
                f"type({path}) == string",
                f"{path}.getHours() == 1",
                f"double({path}) * 2.0 == -{path}",
                self._has(),
                path,
            ]
        )

    def value(self) -> str:
        """A path or a literal."""
        return self.path() if self._chance.random() < 0.3 else self.literal()

    def literal(self) -> str:
        """A literal of any type."""
        words = [f"'{word}'" for word in (*_WORDS, "WORKLOAD", "SSH")]
        others = ["1", "0", "8080.0", "true", "false", "null", "[]", "['a']", "{'a': 1}", "now()"]
        return self._chance.choice([*words, *others])

    def path(self, base: str = "ctx", shape: Shape | None = None) -> str:
        """A path into `ctx`, now and then with a member that is not there."""
        chance, shape = self._chance, shape or self._ctx
        for _ in range(chance.randrange(1, 7)):
            if shape.kind is Kind.LIST:
                base, shape = f"{base}[0]", shape.item or Shape(Kind.DYN)
            elif shape.members is not None:
                name = chance.choice(sorted(shape.members.names()) or ["nothing"])
                base = f'{base}["{name}"]' if chance.random() < 0.1 else f"{base}.{name}"
                shape = shape.members.get(name) or Shape(Kind.DYN)
            elif shape.kind is Kind.MAP:
                base, shape = f"{base}.nested", shape.item or Shape(Kind.DYN)
            else:
                break
        return f"{base}.nothing" if chance.random() < 0.05 else base

    def _has(self) -> str:
        path = self.path()
        return path if path.endswith("]") else f"has({path})"

    def _group(self) -> Shape:
        assert self._ctx.members is not None
        groups = self._ctx.members.get("groups")
        assert groups is not None
        assert groups.item is not None
        return groups.item
