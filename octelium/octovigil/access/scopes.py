"""Scopes of an existing Session as a condition on gRPC calls that are not known yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.octovigil.access.conditions import ALWAYS, NEVER, Constant, Expression, Several
from octelium.policy.cel.ast import Call, Const, Ident, ListNode, Node, Select
from octelium.policy.cel.trees import conjunction
from octelium.policy.cel.unparse import unparse
from octelium.policy.cel.values import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.octovigil.access.conditions import OpenCondition
    from octelium.schema.pb import core_v1_pb2 as core

_ANY: Final = "*"
_CALL: Final = Select(Select(Ident("ctx"), "request", test=False), "grpc", test=False)


def covered_calls(scopes: Iterable[core.Scope]) -> OpenCondition:
    """Which calls of the Cluster's API some scopes cover that do not cover the Service itself."""
    parts: list[OpenCondition] = []
    for scope in scopes:
        if not scope.HasField("api"):
            continue
        if scope.api.HasField("all"):
            return Constant(ALWAYS)
        wanted = scope.api.filter
        node = conjunction(
            [
                _among("package", wanted.packages),
                _among("service", wanted.services),
                _among("method", wanted.methods),
            ]
        )
        parts.append(Expression(unparse(node), ABSENT, negated=False))
    return Several("any", parts) if parts else Constant(NEVER)


def _among(name: str, texts: Sequence[str]) -> Node:
    """`ctx.request.grpc.NAME` is one of some texts, of which one may stand for all."""
    if _ANY in texts:
        return Const(value=True)
    place = Select(_CALL, name, test=False)
    if len(texts) == 1:
        return Call("_==_", None, (place, Const(texts[0])))
    return Call("@in", None, (place, ListNode(tuple(map(Const, texts)))))
