from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.link import tun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_persistent_devices_stay_and_others_go(in_link: Callable[[str], str]) -> None:
    in_link("pieces.device")


def test_without_a_driver_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tun, "NODE", str(tmp_path / "none"))
    with pytest.raises(tun.TunError, match="modprobe tun") as caught:
        tun.open_tun("octelium0", persistent=False)
    assert caught.value.errno == errno.ENOENT
