from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.ast import (
    Call,
    Const,
    Fold,
    Ident,
    ListNode,
    MapNode,
    Node,
    Select,
    decode,
)
from octelium.policy.cel.environment import environment
from octelium.policy.cel.errors import CompileError
from octelium.policy.cel.values import UInt


def tree(text: str) -> Node:
    return decode(environment().compile(text).serialize())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615u", UInt(2**64 - 1)),
        ("0.0", 0.0),
        ("1.5e300", 1.5e300),
        ("'é'", "é"),
        ("''", ""),
        ("b'\\xff'", b"\xff"),
    ],
)
def test_literals(text: str, value: object) -> None:
    node = tree(text)
    assert node == Const(value)
    assert isinstance(node, Const)
    assert type(node.value) is type(value)


def test_paths_and_presence() -> None:
    user = Select(Ident("ctx"), "user", test=False)
    assert tree("ctx.user.name") == Select(user, "name", test=False)
    assert tree("has(ctx.user.name)") == Select(user, "name", test=True)


def test_calls() -> None:
    ctx = Ident("ctx")
    assert tree("ctx == 1") == Call("_==_", None, (ctx, Const(1)))
    assert tree("ctx.a.startsWith('b')") == Call(
        "startsWith", Select(ctx, "a", test=False), (Const("b"),)
    )
    assert tree("base64.encode(b'a')") == Call("base64.encode", None, (Const(b"a"),))


def test_collections() -> None:
    assert tree("[1, ctx]") == ListNode((Const(1), Ident("ctx")))
    assert tree("{'a': 1}") == MapNode(((Const("a"), Const(1)),))


def test_macros_are_folds() -> None:
    node = tree("[1].all(x, x > 0)")
    assert isinstance(node, Fold)
    assert node.variable == "x"
    assert node.range == ListNode((Const(1),))


@pytest.mark.parametrize(
    "text", ["google.protobuf.Duration{seconds: 1}", "google.protobuf.Int32Value{value: 1}"]
)
def test_messages_are_not_constructed(text: str) -> None:
    with pytest.raises(CompileError, match="cannot be constructed"):
        tree(text)


def test_depth_is_bounded() -> None:
    # Left-hand sides nested by hand, deeper than the parser would let through.
    def field(number: int, data: bytes) -> bytes:
        length = len(data)
        out = bytes([number << 3 | 2])
        while length > 127:
            out += bytes([length & 127 | 128])
            length >>= 7
        return out + bytes([length]) + data

    node = field(4, field(1, b"ctx"))
    for _ in range(200):
        node = field(5, field(1, node) + field(2, b"a"))
    envelope = field(1, b"type.googleapis.com/cel.expr.CheckedExpr") + field(2, field(4, node))
    with pytest.raises(CompileError, match="levels deep"):
        decode(envelope)


@given(st.text(min_size=0, max_size=40))
def test_any_string_literal_survives(text: str) -> None:
    quoted = "".join(f"\\U{ord(char):08x}" for char in text)
    assert tree(f"'{quoted}'") == Const(text)
