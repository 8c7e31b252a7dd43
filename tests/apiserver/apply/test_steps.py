from __future__ import annotations

import pytest

from octelium.apiserver.apply import steps as module
from octelium.apiserver.apply.steps import read_prunes, read_steps
from octelium.apiserver.rpc import ApiError, Call
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import resource, wrapped

CALL = Call("/a.B/C", session_uid="s")


def request(*messages: object, **options: object) -> ext.ApplyRequest:
    made = ext.ApplyRequest(resources=wrapped(*messages))
    made.MergeFrom(ext.ApplyRequest(**options))  # type: ignore[arg-type]  # any field
    return made


def test_each_resource_gets_a_step_with_its_stored_name() -> None:
    session = resource("Session", metadata={"uid": "11111111-1111-4111-8111-111111111111"})
    steps = read_steps(
        request(resource("Service", "wiki"), resource("ClusterConfig"), session), CALL
    )
    assert [(step.rules.name, step.name, step.index) for step in steps] == [
        ("Service", "wiki.default", 0),
        ("ClusterConfig", "default", 1),
        ("Session", session.metadata.uid, 2),
    ]


def test_an_empty_resource_is_named() -> None:
    made = request(resource("Group", "ops"))
    made.resources.add()
    with pytest.raises(Invalid) as caught:
        read_steps(made, CALL)
    assert caught.value.path == "resources[1]"


def test_nameless_and_repeated_resources_are_refused() -> None:
    with pytest.raises(ApiError) as caught:
        read_steps(
            request(
                resource("Service", "wiki"),
                resource("Group"),
                resource("Group", "wiki"),
                resource("Service", "wiki.default"),
            ),
            CALL,
        )
    nameless, repeated = caught.value.message.splitlines()
    assert nameless == "resources[1] Group: metadata.name: a name is missing"
    assert repeated.startswith("resources[3] Service wiki.default: metadata.name: ")
    assert repeated.endswith("is declared twice (it stands in resources[0] too)")


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RESOURCES", 2)
    groups = [resource("Group", name) for name in ("aa", "bb", "cc")]
    assert len(read_steps(request(*groups[:2]), CALL)) == 2
    with pytest.raises(Invalid):
        read_steps(request(*groups), CALL)


def test_kinds_to_prune() -> None:
    assert read_prunes(request(prune_kinds=["Nonsense"])) == []
    chosen = read_prunes(request(prune=True, prune_kinds=["User", "Group", "User"]))
    assert [rules.name for rules in chosen] == ["User", "Group"]


@pytest.mark.parametrize(
    "kind", ["Session", "Device", "Authenticator", "ClusterConfig", "Region", "PolicyTrigger", "x"]
)
def test_kinds_that_cannot_be_pruned(kind: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_prunes(request(prune=True, prune_kinds=["User", kind]))
    assert caught.value.path == "pruneKinds[1]"


def test_pruning_names_its_kinds() -> None:
    with pytest.raises(Invalid) as caught:
        read_prunes(request(prune=True))
    assert caught.value.path == "pruneKinds"


def test_metadata_is_not_made_up() -> None:
    bare = resource("Group", "ops")
    bare.ClearField("metadata")
    assert bare.metadata == meta.Metadata()
    with pytest.raises(ApiError, match="name is missing"):
        read_steps(request(bare), CALL)
