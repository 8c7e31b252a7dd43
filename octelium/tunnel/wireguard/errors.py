"""What goes wrong between the core and who configures it, and inside a handshake."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """A setting that cannot be: the message says which, and what would do. Nothing was changed."""


class HandshakeError(Exception):
    """A handshake message that does not prove what it claims. It changes nothing."""
