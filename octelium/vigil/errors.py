"""Why a Service cannot be served as it is configured."""

from __future__ import annotations


class Unserviceable(Exception):  # noqa: N818 - a state of the configuration, named as one
    """A configuration that must not be served, neither as it is nor without its offending part.

    `status` is the answer to requests: 500 for what this version does not offer, 502 for what is
    missing. `str()` is for operators and names no secret values.
    """

    def __init__(self, problem: str, status: int = 500) -> None:
        super().__init__(problem)
        self.status = status


def not_offered(feature: str) -> Unserviceable:
    """A configured feature that this version lacks; serving without it may open what it guards."""
    return Unserviceable(f"{feature} is not offered by this version")
