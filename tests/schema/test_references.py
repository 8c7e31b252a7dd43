from __future__ import annotations

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.references import reference_to


def test_a_reference_has_all_five_fields() -> None:
    user = core.User(metadata=meta.Metadata(uid="u", name="alice", resource_version="v"))
    assert reference_to(user) == meta.ObjectReference(
        api_version="core/v1", kind="User", uid="u", name="alice", resource_version="v"
    )


def test_only_resources_are_referred_to() -> None:
    with pytest.raises(KeyError):
        reference_to(core.UserSpec())
