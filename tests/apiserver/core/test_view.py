from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.apiserver.core.view import TransactionView
from tests.apiserver.harness import resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_it_sees_what_the_transaction_wrote(api: Harness) -> None:
    async with api.resources.transaction() as tx:
        view = TransactionView(tx)
        assert view.get("Group", "ops") is None
        tx.create(resource("Group", "ops"))
        user = resource("User", "alice", spec={"type": "HUMAN"})
        user.metadata.spec_labels["email"] = "alice"
        tx.create(user)
        tx.create(resource("Secret", "key", data={"value": "hunter2"}))
        assert view.get("Group", "ops") is not None
        assert view.get("Group", "") is None
        found = view.get("Secret", "key")
        assert found is not None
        assert found.data.value == "hunter2"
        tx.create(resource("Config", "takes", data={"value": "x"}))
        config = view.get("Config", "takes")
        assert config is not None
        assert config.data.value == "x"
        assert [u.metadata.name for u in view.labelled("User", "email", "alice")] == ["alice"]
        assert list(view.labelled("User", "email", "bob")) == []
        assert "alice" in [u.metadata.name for u in view.list("User")]
        tx.discard()
