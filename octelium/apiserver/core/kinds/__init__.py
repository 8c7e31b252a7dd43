"""One module per kind, each with its `RULES`; a new file here is a new kind of the API."""
