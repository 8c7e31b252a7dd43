"""Octelium in one file: zero-trust access that people host themselves."""

__version__ = "0.1.0"
