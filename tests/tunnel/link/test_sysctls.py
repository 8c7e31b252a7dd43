from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.link import sysctls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_settings_hold_inside_and_are_untouched_outside(in_link: Callable[[str], str]) -> None:
    in_link("settings")


def test_a_necessary_one_that_cannot_be_set_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysctls, "_ROOT", tmp_path)
    with pytest.raises(sysctls.SysctlError, match=r"ip_unprivileged_port_start must be 0.*contain"):
        sysctls.apply()


def test_without_ipv6_its_settings_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysctls, "_ROOT", tmp_path)
    (tmp_path / "ipv4/conf/all").mkdir(parents=True)
    (tmp_path / "ipv4/conf/default").mkdir()
    (tmp_path / "ipv4/ip_unprivileged_port_start").write_text("1024\n")
    (tmp_path / "ipv4/ip_forward").write_text("1\n")
    sysctls.apply()
    assert (tmp_path / "ipv4/ip_unprivileged_port_start").read_text() == "0"
    assert (tmp_path / "ipv4/ip_forward").read_text() == "0"
    assert not sysctls.has_ipv6()
    assert not (tmp_path / "ipv6").exists()
