"""What can go wrong with a tunnel."""

from __future__ import annotations

from octelium.client.errors import ClientError


class TunnelError(ClientError):
    """A tunnel that cannot be, on this machine or as the Cluster wants it."""


class WantedError(ClientError):
    """Something asked for that makes no sense: a mistake of the command line."""
