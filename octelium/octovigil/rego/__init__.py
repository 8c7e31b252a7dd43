"""Rego modules that take long are evaluated in a process of their own, with a deadline."""
