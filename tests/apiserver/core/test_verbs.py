"""What the verbs do to any kind, and the documents that no verb accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.core.verbs import candidate
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import START, codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

UPSTREAM = {"upstream": {"url": "http://10.0.0.5:8080"}}
ALLOW = {"effect": "ALLOW", "condition": {"matchAny": True}}


async def test_create_takes_only_what_is_the_callers(api: Harness) -> None:
    given = resource(
        "Group",
        "ops",
        metadata={
            "displayName": "Operators",
            "description": "on call",
            "labels": {"team": "sre"},
            "annotations": {"note": "x"},
            "tags": ["night"],
            "picURL": "https://example.com/x.png",
            "uid": "11111111-1111-4111-8111-111111111111",
            "resourceVersion": "mine",
            "actorOperation": "forged",
            "isSystem": True,
            "isSystemHidden": True,
            "isUserHidden": True,
            "systemLabels": {"octelium-cert": "true"},
            "specLabels": {"email": "x"},
            "createdAt": "2000-01-01T00:00:00Z",
        },
    )
    given.status.ext["x"].update({"a": 1})
    made = (await api.core("CreateGroup", given)).metadata
    assert made.display_name == "Operators"
    assert made.description == "on call"
    assert dict(made.labels) == {"team": "sre"}
    assert dict(made.annotations) == {"note": "x"}
    assert list(made.tags) == ["night"]
    assert made.pic_url == "https://example.com/x.png"
    assert made.uid != given.metadata.uid
    assert made.resource_version not in ("", "mine")
    assert made.created_at.seconds == START
    assert not made.HasField("updated_at")
    assert not any((made.is_system, made.is_system_hidden, made.is_user_hidden))
    assert not made.system_labels
    assert not made.spec_labels
    stored = api.resources.get(core.Group, name="ops")
    assert not stored.status.ext


async def test_update_replaces_everything_that_is_the_callers(api: Harness) -> None:
    first = resource(
        "Group",
        "ops",
        spec={"attrs": {"a": 1}},
        metadata={"displayName": "Operators", "labels": {"team": "sre"}, "tags": ["night"]},
    )
    made = await api.core("CreateGroup", first)
    second = resource(
        "Group",
        "ops",
        spec={"attrs": {"b": 2}},
        metadata={"annotations": {"note": "x"}, "resourceVersion": "stale", "isSystem": True},
    )
    updated = await api.core("UpdateGroup", second)
    assert dict(updated.spec.attrs.items()) == {"b": 2}
    metadata = updated.metadata
    assert metadata.uid == made.metadata.uid
    assert (metadata.display_name, dict(metadata.labels), list(metadata.tags)) == ("", {}, [])
    assert dict(metadata.annotations) == {"note": "x"}
    assert not metadata.is_system
    assert metadata.last_resource_version == made.metadata.resource_version
    assert metadata.created_at == made.metadata.created_at
    assert metadata.HasField("updated_at")
    again = await api.core("UpdateGroup", second)
    assert again == updated


async def test_every_part_is_on_the_wire(api: Harness) -> None:
    made = await api.core("CreateNamespace", resource("Namespace", "prod"))
    listed = await api.core("ListNamespace")
    for reply in (made, *listed.items):
        for part in ("metadata", "spec", "status"):
            assert reply.HasField(part)
        assert (reply.api_version, reply.kind) == ("core/v1", "Namespace")


async def test_a_name_is_taken_once(api: Harness) -> None:
    await api.core("CreateGroup", resource("Group", "ops"))
    error = await api.refused("CreateGroup", resource("Group", "ops"))
    assert codes(error) == ("ALREADY_EXISTS", "core.v1.Group ops already exists")


async def test_the_name_decides_and_the_uid_helps(api: Harness) -> None:
    ops = await api.core("CreateGroup", resource("Group", "ops"))
    dev = await api.core("CreateGroup", resource("Group", "dev"))
    assert await api.core("GetGroup", meta.GetOptions(uid=ops.metadata.uid)) == ops
    both = meta.GetOptions(uid=ops.metadata.uid, name="dev")
    assert await api.core("GetGroup", both) == dev
    given = resource("Group", "dev", metadata={"uid": ops.metadata.uid, "displayName": "Dev"})
    assert (await api.core("UpdateGroup", given)).metadata.uid == dev.metadata.uid
    await api.core("DeleteGroup", meta.DeleteOptions(uid=ops.metadata.uid))
    assert [item.metadata.name for item in (await api.core("ListGroup")).items] == ["dev"]


@pytest.mark.parametrize("method", ["GetGroup", "DeleteGroup"])
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "INVALID_ARGUMENT"),
        ({"uid": "nonsense"}, "INVALID_ARGUMENT"),
        ({"uid": "11111111-1111-1111-8111-111111111111"}, "INVALID_ARGUMENT"),
        ({"name": "A b"}, "INVALID_ARGUMENT"),
        ({"name": "x" * 1000}, "INVALID_ARGUMENT"),
        ({"name": "nobody"}, "NOT_FOUND"),
        ({"uid": "11111111-1111-4111-8111-111111111111"}, "NOT_FOUND"),
    ],
)
async def test_bad_look_ups(api: Harness, method: str, options: dict[str, str], code: str) -> None:
    request = (meta.GetOptions if method == "GetGroup" else meta.DeleteOptions)(**options)
    assert codes(await api.refused(method, request))[0] == code


async def test_an_update_names_what_exists(api: Harness) -> None:
    made = await api.core("CreateGroup", resource("Group", "ops"))
    nameless = resource("Group", metadata={"uid": made.metadata.uid})
    assert codes(await api.refused("UpdateGroup", nameless))[0] == "INVALID_ARGUMENT"
    assert codes(await api.refused("UpdateGroup", resource("Group", "dev")))[0] == "NOT_FOUND"


@pytest.mark.parametrize("part", ["metadata", "spec"])
async def test_parts_must_be_there(api: Harness, part: str) -> None:
    await api.core("CreateGroup", resource("Group", "ops"))
    for method, name in (("CreateGroup", "dev"), ("UpdateGroup", "ops")):
        given = resource("Group", name)
        given.ClearField(part)
        error = await api.refused(method, given)
        assert codes(error)[0] == "INVALID_ARGUMENT"
        assert codes(error)[1].startswith(f"{part}: ")


def test_a_candidate_keeps_what_the_cluster_knows() -> None:
    rules = all_rules()["Session"]
    old = core.Session()
    old.metadata.name = "root-abc123"
    old.metadata.display_name = "kept"
    old.status.total_connections = 3
    given = core.Session()
    given.metadata.display_name = "forged"
    given.spec.state = core.SessionSpecState__.ACTIVE
    given.status.total_connections = 9
    new = candidate(rules, given, old)
    assert new.metadata == old.metadata
    assert new.status == old.status
    assert new.spec == given.spec
    with pytest.raises(Invalid):
        candidate(rules, core.Session(), old)


BAD: list[tuple[str, str, dict[str, Any], str]] = [
    ("Group", "A", {}, "metadata.name"),
    ("Group", "a", {}, "metadata.name"),
    ("Group", "a--b", {}, "metadata.name"),
    ("Group", "-ab", {}, "metadata.name"),
    ("Group", "a" * 41, {}, "metadata.name"),
    ("Group", "a.b", {}, "metadata.name"),
    ("Group", "ops", {"spec": {"attrs": {"Foo": 1}}}, "spec.attrs"),
    ("Group", "ops", {"spec": {"attrs": {"foo-bar": 1}}}, "spec.attrs"),
    ("Group", "ops", {"metadata": {"labels": {"X": "y"}}}, "metadata.labels"),
    ("Group", "ops", {"metadata": {"displayName": "x" * 101}}, "metadata.displayName"),
    ("Group", "ops", {"metadata": {"tags": ["ab", "ab"]}}, "metadata.tags[1]"),
    ("User", "bob", {}, "spec.type"),
    ("User", "bob", {"spec": {"type": "WORKLOAD", "email": "b@example.com"}}, "spec.email"),
    ("User", "bob", {"spec": {"type": "HUMAN", "groups": ["nope"]}}, "spec.groups[0]"),
    ("Policy", "p1", {"spec": {"rules": [{"condition": {"matchAny": True}}]}}, "spec.rules[0]"),
    ("Policy", "p1", {"spec": {"rules": [{"effect": "ALLOW"}]}}, "spec.rules[0]"),
    ("Policy", "p1", {"spec": {"rules": [{**ALLOW, "priority": 5}]}}, "spec.rules[0].priority"),
    (
        "Policy",
        "p1",
        {"spec": {"rules": [{"effect": "ALLOW", "condition": {"match": "ctx.user."}}]}},
        "spec.rules[0].condition.match",
    ),
    (
        "Policy",
        "p1",
        {"spec": {"rules": [{"effect": "ALLOW", "condition": {"match": "foo(ctx)"}}]}},
        "spec.rules[0].condition.match",
    ),
    (
        "Policy",
        "p1",
        {"spec": {"rules": [{"effect": "ALLOW", "condition": {"all": {"of": []}}}]}},
        "spec.rules[0].condition.all",
    ),
    ("Policy", "child.nobody", {"spec": {"rules": [ALLOW]}}, "metadata.name"),
    ("Service", "svc", {"spec": {"config": UPSTREAM}}, "spec.mode"),
    ("Service", "svc", {"spec": {"mode": "WEB"}}, "spec"),
    ("Service", "svc.nowhere", {"spec": {"mode": "WEB", "config": UPSTREAM}}, "metadata.name"),
    (
        "Service",
        "svc",
        {"spec": {"mode": "TCP", "isPublic": True, "config": UPSTREAM}},
        "spec.isPublic",
    ),
    (
        "Service",
        "svc",
        {
            "spec": {
                "mode": "WEB",
                "isPublic": True,
                "isAnonymous": True,
                "authorization": {},
                "config": UPSTREAM,
            }
        },
        "spec.authorization",
    ),
    (
        "Service",
        "svc",
        {
            "spec": {
                "mode": "HTTP",
                "config": {**UPSTREAM, "http": {"auth": {"bearer": {"fromSecret": "nope"}}}},
            }
        },
        "spec.config.http.auth.bearer.fromSecret",
    ),
    ("Secret", "key", {}, "data"),
    ("Namespace", "octelium-x", {}, "metadata.name"),
    ("Namespace", "local", {}, "metadata.name"),
]


@pytest.mark.parametrize(("kind", "name", "parts", "place"), BAD)
async def test_bad_documents_are_refused_with_their_place(
    api: Harness, kind: str, name: str, parts: dict[str, Any], place: str
) -> None:
    error = await api.refused(f"Create{kind}", resource(kind, name, **parts))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert codes(error)[1].startswith(place)
