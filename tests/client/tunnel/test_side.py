from __future__ import annotations

from typing import get_args

from octelium.client.tunnel.host import HostSide
from octelium.client.tunnel.private import PrivateSide
from octelium.client.tunnel.side import Kind, Side


def test_both_kinds_are_sides() -> None:
    """Checked by mypy; here, that their names for people differ."""
    sides: tuple[Side, ...] = (HostSide(), PrivateSide(serves=False))
    assert len({side.name for side in sides}) == 2
    assert [side.is_of_host for side in sides] == [True, False]
    assert get_args(Kind) == ("tcp", "udp")
