from __future__ import annotations

from octelium.identity.references import reference
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta


def test_all_five_fields() -> None:
    metadata = meta.Metadata(uid="u", name="alice", resource_version="v", display_name="Alice")
    user = core.User(api_version="core/v1", kind="User", metadata=metadata)
    assert reference(user) == meta.ObjectReference(
        api_version="core/v1", kind="User", uid="u", name="alice", resource_version="v"
    )
