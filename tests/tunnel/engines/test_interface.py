from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.tunnel.engines.interface import PeerConfig
from octelium.tunnel.engines.own import OwnEngine

if TYPE_CHECKING:
    from octelium.tunnel.engines.interface import Engine


def test_the_engines_are_engines() -> None:
    """What mypy checks."""
    kinds: list[type[Engine]] = [OwnEngine]
    assert len({kind.name for kind in kinds}) == len(kinds)


def test_secrets_are_not_printed() -> None:
    assert "secret" not in repr(PeerConfig(bytes(32), preshared_key=b"secret" * 6))
