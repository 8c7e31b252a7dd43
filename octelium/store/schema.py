"""Which schema stored bytes are of.

Fields that are added need nothing: older bytes parse. When a stored field changes its number or
type, SCHEMA is raised and a step is added that rewrites bytes of the schema before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.store.errors import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCHEMA = 1
"""The schema of all bytes that are written."""

UPGRADES: Mapping[int, Callable[[str, bytes], bytes]] = {}
"""By the schema it starts from: what rewrites the record of a kind for the next one."""


def upgraded(kind: str, schema: int, data: bytes) -> bytes:
    """A record's bytes in the current schema.

    Raises StoreUnusable for bytes of a newer schema.
    """
    if schema > SCHEMA:
        raise StoreUnusable(
            f"the store holds a {kind} of a newer release: run that release, or restore a backup"
        )
    for step in range(schema, SCHEMA):
        data = UPGRADES[step](kind, data)
    return data
