"""The composition root: configuration, supervisor, processes, bootstrap."""
