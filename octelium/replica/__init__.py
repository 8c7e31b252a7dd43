"""The in-memory view of the store that readers decide on, and the feed that fills it."""
