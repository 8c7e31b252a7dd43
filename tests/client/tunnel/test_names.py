from __future__ import annotations

from pathlib import Path

from octelium.client.tunnel.names import NameService, NoNames


async def test_nothing_changes_and_that_is_said() -> None:
    file = Path("/etc/resolv.conf")
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    names: NameService = NoNames("as before")
    told = await names.start("octelium0", ["100.64.0.2"], ["local.lab.test"])
    assert told == "as before"
    await names.stop()
    await names.stop()
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
