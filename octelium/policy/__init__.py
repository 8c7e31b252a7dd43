"""Conditions: CEL and Rego, what an expression reads, evaluation; Decision and Decider types."""
