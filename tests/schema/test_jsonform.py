from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given

from octelium.schema.errors import Invalid
from octelium.schema.jsonform import differences, from_json, to_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.schema.messages import resources


def test_json_names_are_the_official_ones() -> None:
    value = {
        "spec": {
            "oidc": {"clientID": "a", "issuerURL": "https://x", "clientSecret": {"fromSecret": "s"}}
        }
    }
    assert to_json(from_json(core.IdentityProvider, value)) == value
    assert to_json(core.ServiceSpec(is_tls=True)) == {"isTLS": True}
    ssh = core.ServiceSpecConfigSsh(e_ssh_mode=True)
    assert to_json(ssh) == {"eSSHMode": True}


def test_free_form_objects_have_their_own_form() -> None:
    value = {"a": [1, {"b": None}], "fields": {}}
    read = from_json(struct_pb2.Struct, value)
    assert to_json(read) == value == json_format.MessageToDict(read)
    with pytest.raises(Invalid):
        from_json(struct_pb2.Struct, [])


@given(resources())
def test_nothing_differs_from_itself(message: Any) -> None:
    assert differences(message, from_json(type(message), to_json(message))) == []


@given(resources("User"), resources("User"))
def test_messages_differ_when_differences_are_found(a: Any, b: Any) -> None:
    assert (differences(a, b) == []) == (to_json(a) == to_json(b))


def test_differences_name_the_fields() -> None:
    def service(**spec: Any) -> core.Service:
        return from_json(core.Service, {"spec": spec})

    assert differences(service(port=1), service(port=2)) == ["spec.port"]
    assert differences(service(port=1), service()) == ["spec.port"]
    assert differences(service(), service(config={})) == ["spec.config"]
    authorization = {"policies": ["a", "b"]}
    changed = {"policies": ["a", "c"]}
    assert differences(service(authorization=authorization), service(authorization=changed)) == [
        "spec.authorization.policies[1]"
    ]
    assert differences(
        service(authorization=authorization), service(authorization={"policies": ["a"]})
    ) == ["spec.authorization.policies"]
    assert differences(service(attrs={"a": 1}), service(attrs={"a": True})) == ["spec.attrs.a"]
    assert differences(service(attrs={"x y": 1}), service()) == ["spec.attrs"]
