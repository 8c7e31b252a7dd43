"""What can go wrong between the control process and a replica."""

from __future__ import annotations


class FeedError(Exception):
    """What a peer sent cannot be followed: the connection ends, and the next starts afresh."""
