"""What a transaction would commit, as changes of a replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.replica.source import ROLES
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.store.parts import PARTS

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

_DECIDING = ROLES["data-plane"]
_KINDS = _DECIDING | {PARTS[kind].record_kind for kind in _DECIDING if kind in PARTS}


def supposed_changes(tx: Transaction) -> list[feed.Change]:
    """The writes of a transaction that decisions may depend on, for `Replica.revise`.

    Secrets and keys are left out: no decision reads them.
    """
    return [
        feed.Change(
            kind=write.kind,
            uid=write.uid,
            name=write.name,
            data=b"" if write.deleted else write.data,
            deleted=write.deleted,
        )
        for write in tx.writes()
        if write.kind in _KINDS
    ]
