"""Calls that last for days, each of them an object without a task."""
