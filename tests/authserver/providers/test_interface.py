from __future__ import annotations

import pytest

from octelium.authserver.providers.interface import Begun, ProviderError, ProviderUnavailableError


@pytest.mark.parametrize("error", [ProviderError, ProviderUnavailableError])
def test_nobody_outside_learns_why(error: type[ProviderError]) -> None:
    refused = error("the nonce is that of another login")
    assert refused.code == "UNAUTHENTICATED"
    assert "nonce" in refused.for_log
    assert "nonce" not in refused.answer


def test_what_is_private_is_not_shown() -> None:
    begun = Begun("https://idp.example.com/", {"verifier": "v3r1f13r"})
    assert "v3r1f13r" not in repr(begun)
