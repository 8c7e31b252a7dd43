"""Against a stand-in for the commands; the service itself is not here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.dns.resolved import Resolved

if TYPE_CHECKING:
    from pathlib import Path

STUB = "nameserver 127.0.0.53\noptions edns0\n"


def stand_in(folder: Path, *, active: bool = True, fails: str = "none") -> Resolved:
    log = folder / "log"
    (folder / "systemctl").write_text(f"#!/bin/sh\nexit {0 if active else 3}\n")
    (folder / "resolvectl").write_text(
        f'#!/bin/sh\necho "$*" >> {log}\n'
        f'if [ "$1" = {fails} ]; then echo "Link 7 is no link" >&2; exit 1; fi\n'
    )
    for name in ("systemctl", "resolvectl"):
        (folder / name).chmod(0o755)
    return Resolved(str(folder))


async def test_names_are_routed_by_domain(tmp_path: Path) -> None:
    resolved = stand_in(tmp_path)
    domains = ["local.example.com"]
    routed = ["local.example.com", "example.com.local", "local"]
    await resolved.put("octelium-x", ["100.64.0.1", "fdee::1"], domains, routed)
    await resolved.revert("octelium-x")
    assert (tmp_path / "log").read_text().splitlines() == [
        "dns octelium-x 100.64.0.1 fdee::1",
        "domain octelium-x local.example.com ~example.com.local ~local",
        "default-route octelium-x no",
        "revert octelium-x",
    ]


async def test_a_refusal_is_undone_and_told(tmp_path: Path) -> None:
    resolved = stand_in(tmp_path, fails="domain")
    with pytest.raises(OSError, match="resolvectl domain: Link 7 is no link"):
        await resolved.put("octelium-x", ["100.64.0.1"], [], ["local"])
    assert (tmp_path / "log").read_text().splitlines()[-1] == "revert octelium-x"


async def test_it_is_used_only_where_programs_ask_it(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(STUB)
    assert await stand_in(tmp_path).is_used(file)
    assert not await stand_in(tmp_path, active=False).is_used(file)
    file.write_text("nameserver 192.0.2.1\n")
    assert not await stand_in(tmp_path).is_used(file)
    assert not await Resolved(str(tmp_path / "nothing")).is_used(file)
    file.unlink()
    file.symlink_to("/run/systemd/resolve/stub-resolv.conf")
    assert await stand_in(tmp_path).is_used(file)
