"""ext.v1 `Watch`: resources as they change."""
