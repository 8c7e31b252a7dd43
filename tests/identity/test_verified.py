from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from octelium.identity.verified import VerifiedIdentity
from octelium.schema.pb import core_v1_pb2 as core


def test_what_is_not_told_is_not_assumed() -> None:
    verified = VerifiedIdentity(core.IdentityProvider(), "u-1")
    assert verified.email == ""
    assert verified.email_verified is None
    assert verified.claims == {}
    with pytest.raises(FrozenInstanceError):
        setattr(verified, "identifier", "u-2")  # noqa: B010 - as untyped code would
