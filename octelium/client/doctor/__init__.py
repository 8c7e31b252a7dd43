"""Finds the first broken link between this host and what a Cluster offers, by real traffic."""
