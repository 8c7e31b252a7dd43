from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.memory import MemoryStore

if TYPE_CHECKING:
    from octelium.identity.transaction import Transaction


def test_what_comes_out_is_the_callers_own() -> None:
    tx: Transaction = MemoryStore().tx
    user = tx.create(core.User(api_version="core/v1", kind="User"))
    user.spec.is_disabled = True
    found = tx.find("User", uid=user.metadata.uid)
    assert found is not None
    assert not found.spec.is_disabled
    assert [listed.metadata.uid for listed in tx.list("User")] == [user.metadata.uid]
