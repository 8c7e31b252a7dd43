"""API client and login state, used by the command lines."""
