"""Names of the private network on this host: who is asked for which name."""
