"""Bringing stored bytes of an earlier schema to the current one.

Fields that are added need nothing: older bytes parse. When a stored field changes its number or
type, `SCHEMA_ID` is raised and a step is added here that rewrites bytes of the schema before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.schema_id import SCHEMA_ID
from octelium.store.errors import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UPGRADES: Mapping[int, Callable[[str, bytes], bytes]] = {}
"""By the schema it starts from: what rewrites the record of a kind for the next one."""


def upgraded(kind: str, schema: int, data: bytes) -> bytes:
    """A record's bytes in the current schema.

    Raises StoreUnusable for bytes of a newer schema.
    """
    if schema > SCHEMA_ID:
        raise StoreUnusable(
            f"the store holds a {kind} of a newer release: run that release, or restore a backup"
        )
    for step in range(schema, SCHEMA_ID):
        data = UPGRADES[step](kind, data)
    return data
