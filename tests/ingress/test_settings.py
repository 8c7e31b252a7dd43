from __future__ import annotations

import dataclasses

import pytest

from octelium.ingress.settings import Settings


def test_the_defaults_trust_nobody() -> None:
    settings = Settings()
    assert settings.proxy_peers == ()
    assert not settings.plaintext
    assert settings.limits.head == 32 << 10
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.plaintext = True
