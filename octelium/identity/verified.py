"""What an IdentityProvider vouches for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.schema.pb import core_v1_pb2 as core


@dataclass(frozen=True, slots=True)
class VerifiedIdentity:
    """Who somebody is at an IdentityProvider, after every check of its protocol.

    Nothing here says that the Cluster has such a User, or lets it in.
    """

    provider: core.IdentityProvider
    """As it was when its protocol was checked."""
    identifier: str
    """What identifies the person or the workload there; the value of the configured claim."""
    email: str = ""
    """As the provider spells it; empty if it tells none."""
    email_verified: bool | None = None
    """Whether the provider says that it has checked the address; None if it does not say."""
    picture_url: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """The claims or attributes, JSON data."""
    assertion: str = ""
    """The text of a SAML assertion; empty with other protocols."""
    token_hash: str = ""
    """SHA-256 of what a workload's platform has signed, in hexadecimal digits; else empty."""
