from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.schema import json_reader, json_writer
from octelium.schema.errors import Invalid, render_path
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.schema.messages import JSON_VALUES, TEXTS, resources


@settings(max_examples=100)
@given(resources())
def test_what_is_written_is_read(message: Any) -> None:
    read = type(message)()
    assert json_reader.read(read, json_writer.write(message)) == []
    assert read == message


@given(resources())
def test_snake_case_names_are_read(message: Any) -> None:
    snake = json_format.MessageToDict(message, preserving_proto_field_name=True)
    assert from_json(type(message), snake) == message


@given(resources())
def test_the_text_of_json_is_read(message: Any) -> None:
    assert from_json(type(message), json.loads(json_format.MessageToJson(message))) == message


KEYS = st.sampled_from(
    ["metadata", "spec", "status", "data", "name", "labels", "config", "upstream", "rules", "of",
     "condition", "all", "match", "attrs", "expiresAt", "session", "clientDuration", "hours",
     "policies", "inlinePolicies", "type", "mode", "port", "valueBytes", "value", "createdAt"]
)  # fmt: skip
ANYTHING = st.recursive(
    JSON_VALUES | st.floats() | st.integers() | st.just("\ud800"),
    lambda inner: st.dictionaries(KEYS | TEXTS, inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=25,
)


@settings(max_examples=200)
@given(st.sampled_from([kind.message for kind in KINDS.values()]), ANYTHING)
def test_anything_is_read_or_refused(message_class: Any, value: Any) -> None:
    """And whatever is read survives its bytes."""
    message = message_class()
    problems = json_reader.read(message, value)
    if not problems:
        assert message_class.FromString(message.SerializeToString()) == message
    for problem in problems:
        assert problem.problem
        render_path(problem.steps)


def refusal(message_class: Any, value: Any) -> Invalid:
    with pytest.raises(Invalid) as refused:
        from_json(message_class, value)
    return refused.value


@pytest.mark.parametrize(
    ("value", "path", "problem", "remedy"),
    [
        ([], "", "expected an object, got a list", "write KEY: VALUE pairs"),
        (None, "", "expected an object, got nothing", ""),
        ({"sepc": {}}, "sepc", "unknown field", "did you mean spec?"),
        ({"upstream": {}}, "upstream", "unknown field", "did you mean spec.config.upstream?"),
        ({"zzzz": 1}, "zzzz", "unknown field", "fields here: apiVersion, kind, metadata"),
        ({7: 1}, '["7"]', "expected a field name, got the number 7", ""),
        ({"spec": {"isTLS": True, "is_tls": True}}, "spec.is_tls", "given together with isTLS",
         "both names mean the same field"),
        ({"spec": {"port": "80a"}}, "spec.port", "expected a whole number, got the text '80a'", ""),
        ({"spec": {"port": 1.5}}, "spec.port", "expected a whole number, got the number 1.5", ""),
        ({"spec": {"port": True}}, "spec.port", "expected a whole number, got true", ""),
        ({"spec": {"port": -1}}, "spec.port", "-1 is outside 0 to 4294967295", ""),
        ({"spec": {"port": 10**5000}}, "spec.port", "the number is outside", ""),
        ({"spec": {"mode": "WBE"}}, "spec.mode", "'WBE' is not a known value", "did you mean WEB?"),
        ({"spec": {"mode": "web"}}, "spec.mode", "'web' is not a known value", "did you mean WEB?"),
        ({"spec": {"mode": "zzzzzz"}}, "spec.mode", "not a known value", "one of TCP, UDP"),
        ({"spec": {"mode": 99}}, "spec.mode", "expected one of TCP", ""),
        ({"spec": {"mode": True}}, "spec.mode", "expected one of TCP", ""),
        ({"spec": {"isPublic": "yes"}}, "spec.isPublic", "expected true or false",
         "write true, without quotes"),
        ({"spec": {"isPublic": "False"}}, "spec.isPublic", "expected true or false",
         "write false, without quotes"),
        ({"spec": {"isPublic": 1}}, "spec.isPublic", "got the number 1", "write true or false"),
        ({"metadata": {"name": 5}}, "metadata.name", "expected text, got the number 5",
         "put it in quotes"),
        ({"metadata": {"name": False}}, "metadata.name", "got false", "put it in quotes"),
        ({"metadata": {"name": {}}}, "metadata.name", "expected text, got an object", ""),
        ({"metadata": {"name": "\ud800"}}, "metadata.name", "half of a surrogate pair", ""),
        ({"metadata": {"tags": "a"}}, "metadata.tags", "expected a list, got the text 'a'",
         "write [ ] around it"),
        ({"metadata": {"tags": ["a", None]}}, "metadata.tags[1]", "an entry of a list is empty",
         "remove it"),
        ({"metadata": {"tags": ["a", 1]}}, "metadata.tags[1]", "expected text", ""),
        ({"metadata": {"labels": []}}, "metadata.labels", "expected an object, got a list", ""),
        ({"metadata": {"labels": {"a": None}}}, "metadata.labels.a", "the value is empty", ""),
        ({"metadata": {"labels": {"a": 1}}}, "metadata.labels.a", "expected text", ""),
        ({"metadata": {"createdAt": "today"}}, "metadata.createdAt", "expected a time", "RFC 3339"),
        ({"metadata": {"createdAt": 5}}, "metadata.createdAt", "expected a time", "RFC 3339"),
        ({"metadata": {"createdAt": "2020-02-30T00:00:00Z"}}, "metadata.createdAt",
         "not a time that exists", ""),
        ({"metadata": {"createdAt": "0000-01-01T00:00:00Z"}}, "metadata.createdAt", "not a time",
         ""),
        ({"metadata": {"createdAt": "0001-01-01T00:00:00+10:00"}}, "metadata.createdAt",
         "outside the years", ""),
        ({"x" * 1000: 1}, "x" * 100, "unknown field", ""),
        ({"spec": {"attrs": {"a": {7: 1}}}}, "spec.attrs.a[7]", "expected text", ""),
        ({"metadata": {"labels": {7: "a"}}}, "metadata.labels[7]", "expected text", ""),
        ({"spec": {"attrs": []}}, "spec.attrs", "expected an object, got a list", ""),
        ({"spec": {"attrs": {"a": 2**53 + 1}}}, "spec.attrs.a", "too large to be kept exactly",
         "put it in quotes"),
        ({"spec": {"attrs": {"a": 10**400}}}, "spec.attrs.a", "too large", "put it in quotes"),
        ({"spec": {"attrs": {"a": float("nan")}}}, "spec.attrs.a", "not a finite number", ""),
        ({"spec": {"attrs": {"a": ["\udfff"]}}}, "spec.attrs.a[0]", "surrogate", ""),
        ({"spec": {"attrs": {"a": b""}}}, "spec.attrs.a", "a bytes cannot stand here", ""),
        ({"spec": {"config": {"http": {}, "ssh": {}}}}, "spec.config.ssh",
         "given together with http", "keep one of the two"),
        ({"spec": {"config": {"http": {"auth": {"bearer": "tok"}}}}},
         "spec.config.http.auth.bearer", "expected an object", "name a Secret: {fromSecret: NAME}"),
        ({"spec": {"config": {"http": {"retry": {"initialInterval": "8h"}}}}},
         "spec.config.http.retry.initialInterval", "expected an object", "{hours: 8}"),
        ({"spec": {"config": {"http": {"retry": {"initialInterval": 5}}}}},
         "spec.config.http.retry.initialInterval", "expected an object", "{hours: 8}"),
        ({"spec": {"config": {"http": {"retry": {"multiplier": "x"}}}}},
         "spec.config.http.retry.multiplier", "expected a number, got the text 'x'", ""),
        ({"spec": {"config": {"http": {"retry": {"multiplier": 1e39}}}}},
         "spec.config.http.retry.multiplier", "the number is too large", ""),
        ({"spec": {"config": {"http": {"retry": {"multiplier": 10**400}}}}},
         "spec.config.http.retry.multiplier", "the number is too large", ""),
        ({"spec": {"dynamicConfig": {"rules": [{"condition": "ctx.x"}]}}},
         "spec.dynamicConfig.rules[0].condition", "expected an object", "{match: '...'}"),
    ],
)  # fmt: skip
def test_refusals(value: Any, path: str, problem: str, remedy: str) -> None:
    refused = refusal(core.Service, value)
    assert refused.path == path
    assert problem in refused.problem
    assert remedy in refused.remedy


def test_keys_of_maps_of_messages_are_texts() -> None:
    refused = refusal(core.User, {"status": {"ext": {7: {}}}})
    assert (refused.path, refused.problem) == ("status.ext[7]", "expected text, got the number 7")
    assert from_json(core.User, {"status": {"ext": {"a": {"b": 1}}}}).status.ext["a"]["b"] == 1


def test_all_problems_are_found() -> None:
    value = {"metadata": {"nam": 1, "tags": [1, 2]}, "spec": {"port": "x", "mode": "y"}, "z": 0}
    found = [render_path(problem.steps) for problem in json_reader.read(core.Service(), value)]
    assert found == [
        "metadata.nam",
        "metadata.tags[0]",
        "metadata.tags[1]",
        "spec.port",
        "spec.mode",
        "z",
    ]


def test_the_number_of_problems_is_bounded() -> None:
    value = {f"unknown{number}": number for number in range(100_000)}
    assert len(json_reader.read(core.Service(), value)) == 50
    assert len(json_reader.read(core.Service(), value, most=3)) == 3


def test_forms_of_scalars() -> None:
    assert from_json(core.ServiceSpec, {"port": "80", "mode": 9}).port == 80
    assert from_json(core.ServiceSpec, {"port": 80.0}).port == 80
    limits = core.ServiceSpecConfigLlmLimits
    for written in (2**63, str(2**63)):
        read = from_json(limits, {"maxOutputTokens": written})
        assert read.max_output_tokens == 2**63
    for text in ("+/8=", "-_8", "-_8="):
        assert from_json(core.SecretData, {"valueBytes": text}).value_bytes == b"\xfb\xff"
    assert refusal(core.SecretData, {"valueBytes": "a b"}).problem == "the text is not base64"
    assert refusal(core.SecretData, {"valueBytes": "é"}).problem == "the text is not base64"
    assert "base64 text" in refusal(core.SecretData, {"valueBytes": 1}).problem
    retry = core.ServiceSpecConfigHttpRetry
    assert from_json(retry, {"multiplier": "1.5"}).multiplier == 1.5
    assert from_json(retry, {"multiplier": "Infinity"}).multiplier == float("inf")


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1970-01-01T00:00:01Z", 1, 0),
        ("1970-01-01t00:00:01z", 1, 0),
        ("1970-01-01T01:00:00+01:00", 0, 0),
        ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
        ("1970-01-01T00:00:00.123456789Z", 0, 123456789),
        ("1970-01-02", 86400, 0),
        ("1970-01-01 00:00:05", 5, 0),
        ("1970-01-01 00:00:05 +00:00", 5, 0),
        ("9999-12-31T23:59:59Z", 253402300799, 0),
    ],
)
def test_times(text: str, seconds: int, nanos: int) -> None:
    read = from_json(core.SessionSpec, {"expiresAt": text}).expires_at
    assert (read.seconds, read.nanos) == (seconds, nanos)


def test_null_means_unset() -> None:
    assert from_json(core.Service, {"spec": None, "metadata": {"name": None}}) == core.Service(
        metadata=meta.Metadata()
    )
    read = from_json(core.ServiceSpecConfig, {"http": None, "ssh": {}})
    assert read.WhichOneof("type") == "ssh"


def test_objects_keep_their_keys_and_types() -> None:
    attrs = {"snake_key": 1, "a": [True, None, "1", 1.5, {"b": {}}], "": "x"}
    read = from_json(core.UserSpec, {"attrs": attrs})
    assert json_writer.write(read)["attrs"] == attrs


def test_depth_is_bounded_where_bytes_would_not_be_read_again() -> None:
    def attrs(depth: int) -> dict[str, Any]:
        value: Any = 1
        for _ in range(depth):
            value = {"a": value}
        return {"spec": {"attrs": value}}

    most = json_reader.MAX_STRUCT_DEPTH
    message = from_json(core.Service, attrs(most))
    request = ext.ApplyRequest(resources=[ext.Resource(service=message)])
    assert ext.ApplyRequest.FromString(request.SerializeToString()) == request
    assert "levels deep" in refusal(core.Service, attrs(most + 1)).problem
    assert "levels deep" in refusal(core.Service, attrs(900)).problem
    condition: dict[str, Any] = {"match": "x"}
    for _ in range(200):
        condition = {"all": {"of": [condition]}}
    assert "too deeply" in refusal(core.Condition, condition).problem


def test_every_type_of_the_stored_kinds_is_readable() -> None:
    waiting = [kind.message.DESCRIPTOR for kind in KINDS.values()]
    waiting.append(ext.ApplyRequest.DESCRIPTOR)
    seen: set[str] = set()
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in seen or descriptor.full_name.startswith("google."):
            continue
        seen.add(descriptor.full_name)
        if not descriptor.GetOptions().map_entry:
            by_key = json_reader.plan_of(descriptor).by_key
            assert {field.json_name for field in descriptor.fields} <= set(by_key)
        waiting.extend(f.message_type for f in descriptor.fields if f.message_type is not None)
    assert len(seen) > 200
