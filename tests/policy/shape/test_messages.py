from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.policy.shape.messages import message_shape
from octelium.policy.shape.shape import (
    BOOL,
    DOUBLE,
    OPEN,
    OPEN_MAP,
    STRING,
    Kind,
    Meaning,
    Shape,
    list_of,
    map_of,
)
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor


def at(root: Descriptor, *path: str) -> Shape:
    shape = message_shape(root)
    for name in path:
        assert shape.members is not None
        found = shape.members.get(name)
        assert found is not None, name
        shape = found
    return shape


SERVICE, USER, SESSION = core.Service.DESCRIPTOR, core.User.DESCRIPTOR, core.Session.DESCRIPTOR


@pytest.mark.parametrize(
    ("root", "path", "shape"),
    [
        (SERVICE, ("spec", "port"), DOUBLE.as_sparse()),
        (SERVICE, ("spec", "isTLS"), BOOL.as_sparse()),
        (SERVICE, ("spec", "attrs"), OPEN_MAP),
        (USER, ("spec", "email"), STRING.as_sparse()),
        (USER, ("spec", "groups"), list_of(STRING).as_sparse()),
        (USER, ("metadata", "labels"), map_of(STRING).as_sparse()),
        (USER, ("metadata", "tags"), list_of(STRING).as_sparse()),
        (USER, ("metadata", "createdAt"), Shape(Kind.STRING, meaning=Meaning.INSTANT)),
        (USER, ("status", "ext"), map_of(OPEN_MAP).as_sparse()),
        (SESSION, ("status", "ext", "other"), OPEN_MAP),
        (SESSION, ("status", "ext", "identityProvider", "groups"), list_of(STRING)),
        (core.Condition.DESCRIPTOR, ("matchAny",), BOOL),
        (core.Condition.DESCRIPTOR, ("not",), STRING),
        (
            core.RequestContextRequestHttp.DESCRIPTOR,
            ("size",),
            Shape(Kind.STRING, meaning=Meaning.NUMBER, sparse=True),
        ),
        (
            core.RequestContextRequestHttp.DESCRIPTOR,
            ("body",),
            Shape(Kind.STRING, meaning=Meaning.DATA, sparse=True),
        ),
    ],
)
def test_fields(root: Descriptor, path: tuple[str, ...], shape: Shape) -> None:
    assert at(root, *path) == shape


def test_enums_are_texts() -> None:
    shape = at(USER, "spec", "type")
    assert (shape.kind, shape.sparse) == (Kind.STRING, True)
    assert shape.values == ("TYPE_UNKNOWN", "HUMAN", "WORKLOAD")
    assert shape.zero == "TYPE_UNKNOWN"


def test_types_that_contain_themselves() -> None:
    inner = at(core.Condition.DESCRIPTOR, "all", "of")
    assert inner.item is not None
    assert inner.item.members is not None
    assert set(inner.item.members.names()) == {
        "matchAny", "match", "not", "all", "any", "none", "opa",
    }  # fmt: skip


def test_members() -> None:
    members = message_shape(USER).members
    assert members is not None
    assert set(members.names()) == {"apiVersion", "kind", "metadata", "spec", "status"}
    assert members.get("name") is None
    assert members.elsewhere("name") == ""


def test_fields_that_may_hold_their_default() -> None:
    shape = message_shape(core.RequestContextRequestDns.DESCRIPTOR, sparse=False)
    assert shape.members is not None
    assert shape.members.get("name") == STRING
    nested = message_shape(core.RequestContextRequestGrpc.DESCRIPTOR, sparse=False)
    assert nested.members is not None
    http = nested.members.get("http")
    assert http is not None
    assert http.members is not None
    assert http.members.get("path") == STRING
    assert http.members.get("bodyMap") == OPEN_MAP


def test_json_values_are_open() -> None:
    fields = core.UserSpec.DESCRIPTOR.fields_by_name["attrs"].message_type
    assert fields is not None
    entry = fields.fields_by_name["fields"].message_type
    assert entry is not None
    value = entry.fields_by_name["value"].message_type
    assert value is not None
    assert message_shape(value) == OPEN
