"""The client's end of the private network: a tunnel, and what goes through it."""
