from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.peers.namespaces import network

if TYPE_CHECKING:
    from pathlib import Path

MODULE = ("-m", "tests.client.tunnel.inside")


def test_nothing_of_the_host_changes(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        made.namespace("client").run(sys.executable, *MODULE, "the_private_one")


def test_where_there_is_no_device(tmp_path: Path) -> None:
    with network(tmp_path) as made:
        hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net; exec "$@"', "sh")
        done = made.namespace("client").run(*hidden, sys.executable, *MODULE, "no_device")
    assert "this host cannot have a tunnel device" in done.stdout
    assert "no private network can be had" in done.stdout
    said = done.stdout + done.stderr
    assert said.count("modprobe tun") == 2, "once for each"
    assert "gvisor" not in said, "which needs a device, too"
    assert "[Errno" not in said
