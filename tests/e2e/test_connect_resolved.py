"""Names on a host whose programs ask systemd-resolved: the service itself, on a bus of its own.

There is no systemd in the host's namespace, so that `systemctl is-active` is answered by a stand-in
that asks the bus whether the service is there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import DOMAIN, wait_for
from tests.e2e.test_connect import connected
from tests.e2e.test_connect_dns import ELSEWHERE, TUN, UPSTREAM, Host, one_world
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.test_connect import World

__all__ = ["one_world"]

ROOT = Path(os.environ.get("SYSTEMD_RESOLVED_ROOT", "/"))
"""Where the package systemd-resolved is, installed or unpacked by `dpkg -x`."""
SERVICE = ROOT / "lib/systemd/systemd-resolved"
RESOLVECTL = ROOT / "usr/bin/resolvectl"
_BUS = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""
_SYSTEMCTL = """#!/bin/sh
[ "$*" = "is-active --quiet systemd-resolved.service" ] || exit 1
exec busctl status org.freedesktop.resolve1 > /dev/null
"""
_SETTINGS = f"[Resolve]\nDNS={UPSTREAM}\nFallbackDNS=\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\n"
_USER = "systemd-resolve:x:991:991::/:/usr/sbin/nologin\n"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="not verified: run the tests as root"),
    pytest.mark.skipif(
        not (SERVICE.exists() and RESOLVECTL.exists()),
        reason="not verified: unpack the package systemd-resolved (dpkg -x), and have "
        "SYSTEMD_RESOLVED_ROOT name the folder",
    ),
]


@pytest.fixture
def host(one_world: World, tmp_path: Path) -> Iterator[Host]:
    """With /etc and /run of its own, in which the service runs."""
    run, etc = one_world.client.run, tmp_path / "etc"
    run("cp", "-a", "/etc", etc)
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").symlink_to("/run/systemd/resolve/stub-resolv.conf")
    (etc / "systemd").mkdir(exist_ok=True)
    (etc / "systemd/resolved.conf").write_text(_SETTINGS)
    for name in ("passwd", "group"):
        with (etc / name).open("a") as file:
            file.write(_USER if name == "passwd" else "systemd-resolve:x:991:\n")
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "systemctl").write_text(_SYSTEMCTL)
    (commands / "systemctl").chmod(0o755)
    (commands / "resolvectl").symlink_to(RESOLVECTL)
    (tmp_path / "bus.conf").write_text(_BUS)
    with contextlib.ExitStack() as stack:
        run("mount", "--bind", etc, "/etc")
        stack.callback(run, "umount", "--lazy", "/etc")
        run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run")
        stack.callback(run, "umount", "--lazy", "/run")
        run("mkdir", "-p", "/run/dbus", "/run/systemd/resolve")
        run("chown", "991:991", "/run/systemd/resolve")
        daemon = program("dbus-daemon", "dbus-daemon")
        bus = (daemon, "--nofork", "--nopidfile", f"--config-file={tmp_path / 'bus.conf'}")
        stack.enter_context(one_world.client.process(*bus))
        is_there = ("test", "-S", "/run/dbus/system_bus_socket")
        wait_for(lambda: run(*is_there, check=False).returncode == 0)
        quiet = {"stderr": subprocess.DEVNULL}
        stack.enter_context(one_world.client.process(SERVICE, **quiet))
        made = Host(one_world, etc, one_world.folder / "asked")
        made.log.write_text("")
        wait_for(lambda: made.look_up("before.test") == [ELSEWHERE])
        yield made


@pytest.mark.parametrize("ending", ["end", "kill"])
@pytest.mark.parametrize("localdns", [False, True])
def test_names_go_where_they_belong(
    host: Host, tmp_path: Path, ending: str, localdns: bool
) -> None:
    web = host.world.address("web")
    prefix = ("env", f"PATH={tmp_path / 'bin'}:{os.environ['PATH']}")
    more = ("--localdns",) if localdns else ()
    with connected(host.world, "alice", *TUN, *more, prefix=prefix) as it:
        assert it.has_said(f"*.local.{DOMAIN} is looked up by systemd-resolved at the Cluster")
        names = ("web.local", f"web.{DOMAIN}.local", "nobody.local.", "www.example.com")
        assert host.look_up(*names) == [web, web, "", ELSEWHERE]
        told = host.world.client.run(RESOLVECTL, "domain").stdout
        assert f"local.{DOMAIN} ~" in told
        assert "64.100.in-addr.arpa" in told
        assert host.guardians() == []
        if localdns:
            dig = (program("dig", "bind9-dnsutils"), "@127.0.0.100", "+short", "web.local")
            assert host.world.client.run(*dig).stdout.strip() == web
        if ending == "kill":
            it.process.kill()
            it.process.wait(60)
        else:
            assert it.end() == 0
        # What it was told has gone with the device.
        wait_for(lambda: "octelium" not in host.world.client.run(RESOLVECTL, "domain").stdout)
    assert host.look_up("www.example.org") == [ELSEWHERE]
    assert set(host.asked()) == {"before.test", "www.example.com", "www.example.org"}
    assert (host.etc / "resolv.conf").is_symlink()
    assert host.notes == ""


def test_private_names_stay_here_while_the_tunnel_is_mended(host: Host, tmp_path: Path) -> None:
    program("wireguard-go", "wireguard-go")
    prefix = ("env", f"PATH={tmp_path / 'bin'}:{os.environ['PATH']}")
    with connected(host.world, "alice", *TUN, "--engine", "wireguard-go", prefix=prefix) as it:
        found = host.world.client.run("pgrep", "-P", str(it.process.pid), "-x", "wireguard-go")
        os.kill(int(found.stdout), signal.SIGKILL)
        names = iter(f"mended-{number}.local." for number in range(1000))
        wait_for(lambda: host.look_up("raw.local", next(names)) == [host.world.address("raw"), ""])
        assert it.end() == 0
    assert not [name for name in host.asked() if "local" in name]
