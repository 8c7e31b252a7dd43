"""Which schema the stored bytes are of.

Stored messages stay readable as long as every field keeps its number and type, which
`field_table` describes. When a field changes, `SCHEMA_ID` is raised and rows of the earlier schema
are migrated. Fields may be added at any time.
"""

from __future__ import annotations

SCHEMA_ID = 1
"""The schema of the bytes that this version writes."""
