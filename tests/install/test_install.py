"""The life of an installation, on a machine with systemd."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SOAK
from tests.e2e.cluster import wait_for
from tests.install.machine import DOMAIN, RELEASES, Machine, booted
from tests.install.releases import release, zipapp
from tests.install.roots import DEBIAN_13, UBUNTU, System, root
from tests.install.test_preconditions import put

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(rf"https://{re.escape(DOMAIN)}/invite#[A-Za-z0-9_-]{{20,}}")
SECONDS = 60
"""What an installation may take once everything is downloaded."""


def exposure(machine: Machine) -> float:
    said = machine.shell("systemd-analyze security --no-pager octelium")
    found = re.search(r"exposure level for octelium.service: ([0-9.]+)", said)
    assert found is not None, said
    return float(found[1])


WATCH = r"""while [ -e /run/watched ]; do
  cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | sort -u >>/run/watched
  sleep 0.1
done"""


def install_at_a_terminal(machine: Machine, name: str) -> tuple[str, str, str]:
    """What the terminal shows, what stdout gets, and what lists of processes would have shown."""
    command = f"sh {RELEASES}/{name}/install.sh >/run/out 2>&1"
    machine.shell(f"touch /run/watched; setsid sh -c '{WATCH}' >/dev/null 2>&1 &")
    terminal = machine.run("script", "-qec", command, "/dev/null").stdout
    watched = machine.shell("cat /run/watched; rm /run/watched")
    return terminal, machine.shell("cat /run/out"), watched


def check_first(machine: Machine) -> None:
    """From a fresh machine to an administrator's invitation, with no question."""
    began = time.monotonic()
    terminal, said, watched = install_at_a_terminal(machine, "good")
    taken = time.monotonic() - began
    assert taken < SECONDS or not SOAK, f"{taken:.0f} s"
    assert [f"[{number}/7]" in said for number in range(1, 8)] == [True] * 7
    assert f"https://demo-nginx.{DOMAIN}/ answers 200" in said
    assert f"serves https://{DOMAIN}\n" in said
    assert LINK.search(terminal)
    assert not LINK.search(said)
    assert f"octops cert {DOMAIN} --cert FILE --key FILE" in said
    journal = machine.shell("journalctl --no-pager -o cat")
    for place in (journal, watched):
        assert "octelium" in place
        assert "invite#" not in place
        assert not re.search(r"\b[A-Za-z0-9_-]{100,}", place)  # a token
    assert exposure(machine) <= 4.0


def check_rights(machine: Machine) -> None:
    """The service cannot write its code, and nobody else reads its data."""
    writable = "find /opt/octelium /etc/octelium /usr/local/bin/octelium -writable"
    assert machine.shell(f"runuser -u octelium -- {writable} ! -type l") == ""
    assert machine.shell("find /opt/octelium ! -user root") == ""
    denied = machine.run("runuser", "-u", "nobody", "--", "ls", "/var/lib/octelium", check=False)
    assert denied.returncode != 0
    owner = machine.shell("stat -c %U /proc/$(systemctl show -p MainPID --value octelium)")
    assert owner == "octelium\n"
    assert machine.shell("runuser -u nobody -- octelium --version").startswith("octelium ")
    for path in ("bash-completion/completions/octelium", "zsh/site-functions/_octeliumctl"):
        assert "octelium" in machine.shell(f"cat /usr/local/share/{path}")
    assert "complete" in machine.shell("cat /usr/local/share/fish/vendor_completions.d/octops.fish")


def check_again(machine: Machine) -> None:
    """The same version again: nothing happens; another setting: a mistake."""
    process = machine.shell("systemctl show -p MainPID --value octelium")
    assert "is installed already" in machine.install("good").stdout
    assert machine.shell("systemctl show -p MainPID --value octelium") == process
    said = machine.install("good", "--domain", "other.example", "--dry-run", check=False)
    assert said.returncode == 1
    assert f"has domain '{DOMAIN}', and 'other.example' is asked for" in said.stdout


def check_upgrade(machine: Machine) -> None:
    """A newer version, after a backup."""
    said = machine.install("next").stdout
    assert "backup /var/lib/octelium-backups/" in said
    assert machine.shell("octelium --version") == "octelium 99.1.0\n"
    assert machine.shell("ls /var/lib/octelium-backups/*/data/store/store.db").count("\n") == 1


def check_backup(machine: Machine) -> None:
    """A backup by root while the service runs, and back again: all stays the service's own."""
    data = "--data-dir /var/lib/octelium"
    said = machine.shell(f"octops backup /root/octelium.backup {data}")
    assert f"{DOMAIN} at revision" in said
    assert machine.shell("stat -c '%U %a' /root/octelium.backup") == "root 600\n"
    refused = machine.run(
        *f"octops restore /root/octelium.backup --replace {data}".split(), check=False
    )
    assert "is in use by another" in refused.stdout
    machine.shell("systemctl stop octelium")
    said = machine.shell(f"octops restore /root/octelium.backup --replace {data}")
    assert f"{DOMAIN} is as it was on" in said
    assert machine.shell("find /var/lib/octelium ! -user octelium") == ""
    machine.shell("systemctl start octelium")
    wait_for(
        lambda: "answers 200" in machine.run("octops", "probe", *data.split(), check=False).stdout
    )
    machine.shell("rm -r /root/octelium.backup /var/lib/octelium/replaced-*")


SPOILED = "the store is of the new version now"
LATER = f"""\
# Once the store is spoiled, it is as late as it takes to give up.
case "$*" in
  +%s) ! journalctl -o cat -u octelium | grep -q "{SPOILED}" || set -- -d "+1 hour" +%s ;;
esac
exec /usr/bin/date "$@"\
"""


def check_broken(machine: Machine) -> None:
    """A newer version that spoils the store and does not serve: back again, all of it."""
    version = machine.shell("octelium --version").split()[1]
    about = "stat -c %s /var/lib/octelium/store/vault.key; cat /etc/octelium/*"
    before = machine.shell(about)
    done = machine.install("broken", "--timeout", "600", before=put("date", LATER), check=False)
    assert done.returncode == 1
    assert SPOILED in done.stdout
    last = done.stdout.splitlines()[-1]
    assert f"{version}-" in last
    assert "is back and serves" in last
    assert machine.shell(about) == before
    assert machine.shell("octelium --version") == f"octelium {version}\n"
    probe = machine.shell("octops probe demo-nginx --data-dir /var/lib/octelium")
    assert "answers 200" in probe
    assert "99.2.0" not in machine.shell("ls /opt/octelium")


def interrupt(machine: Machine, signal: str) -> None:
    """Begin to upgrade to the broken version, and send a signal when that has taken over."""
    installer = f"{RELEASES}/broken/install.sh"
    machine.shell(
        f"""setsid sh {installer} >/run/out 2>&1 & installer=$!
        for i in $(seq 300); do
          case $(readlink /opt/octelium/current) in 99.2.0-*) break ;; esac
          sleep 0.1
        done
        test -e /opt/octelium/upgrading || exit 1
        kill -{signal} -$installer
        wait $installer || true"""
    )


def check_cut_off(machine: Machine) -> None:
    """An upgrade that is ended half-way is taken back, by itself or else by the next run."""
    full = "mount -t tmpfs -o size=64k tmpfs /var/lib/octelium-backups"
    said = machine.install("broken", before=full, check=False)
    assert said.returncode != 0
    assert "The backup was not finished" in said.stdout
    wait_for(lambda: machine.run("octops", "probe", "--data-dir", "/var/lib/octelium").stdout)
    interrupt(machine, "TERM")
    assert "Cut off: taking file and data back" in machine.shell("cat /run/out")
    assert "answers 200" in machine.shell("octops probe --data-dir /var/lib/octelium")
    interrupt(machine, "KILL")
    assert machine.run("octops", "probe", "--data-dir", "/var/lib/octelium", check=False).returncode
    said = machine.install("next")
    assert "was cut off: taking file and data back first" in said.stdout
    assert "is installed already" in said.stdout
    assert "answers 200" in machine.shell("octops probe --data-dir /var/lib/octelium")


def check_removal(machine: Machine, before: str) -> None:
    """Nothing but the data stays, which a new installation takes up; then nothing at all."""
    machine.run("sh", "/opt/octelium/uninstall.sh")
    left = machine.shell(
        "find / -xdev -iname '*octelium*' -not -path '/mnt/*' -not -path '/proc/*'"
    )
    kept = [line for line in left.splitlines() if not line.startswith("/var/lib/octelium")]
    assert kept == []
    assert machine.run("id", "octelium", check=False).returncode != 0
    assert machine.shell("stat -c '%U %a' /var/lib/octelium") == "root 700\n"
    said = machine.install("next").stdout
    assert f"octelium-api.{DOMAIN}" in said
    check_purge(machine, before)


def check_purge(machine: Machine, before: str) -> None:
    """Nothing stays."""
    machine.run("sh", "/opt/octelium/uninstall.sh", "--purge")
    gone = set(before.splitlines()) ^ set(machine.state().splitlines())
    # Python came by apt, and stays; so do what users and units are counted in.
    ours = [line for line in gone if "octelium" in line]
    assert ours == []
    assert "octelium" not in machine.shell("cat /etc/passwd /etc/group /etc/shadow")


def check_tunnel(machine: Machine) -> None:
    """The service may have a private network, without any capability, and little else; installed
    by another shell.
    """
    machine.shell("chmod 0666 /dev/net/tun")
    options = ("--tunnel", "on", "--listen", ":8443", "--data-dir", "/srv/octelium")
    machine.install("good", *options, shell=f"{RELEASES}/busybox sh")
    said = machine.shell("journalctl --no-pager -o cat -u octelium")
    assert "traffic flows" in said
    assert f"Octelium serves https://{DOMAIN}:8443" in said
    assert "CapEff:\t0000000000000000" in machine.shell(
        "cat /proc/$(systemctl show -p MainPID --value octelium)/status"
    )
    assert exposure(machine) <= 4.0
    machine.shell(f"{RELEASES}/busybox sh /opt/octelium/uninstall.sh --purge")
    assert machine.shell("ls /srv") == ""


def test_debian(machine: Machine) -> None:
    before = machine.state()
    check_first(machine)
    check_rights(machine)
    check_again(machine)
    check_backup(machine)
    if SOAK:
        check_upgrade(machine)
    check_broken(machine)
    if SOAK:
        check_cut_off(machine)
        check_removal(machine, before)
        check_tunnel(machine)
    else:
        check_purge(machine, before)


@pytest.mark.skipif(not SOAK, reason="other systems of 360 MB: OCTELIUM_SOAK=1")
@pytest.mark.parametrize("system", [UBUNTU, DEBIAN_13], ids=lambda system: system.name)
def test_another_system(tmp_path: Path, system: System) -> None:
    releases = tmp_path / "releases"
    releases.mkdir()
    release(releases / "good", zipapp(system.python))
    release(releases / "next", zipapp(system.python), "99.1.0")
    release(releases / "broken", zipapp(system.python), "99.2.0", breaks=True)
    with booted(root(system), releases, tmp_path) as machine:
        before = machine.state()
        check_first(machine)
        check_rights(machine)
        check_again(machine)
        check_backup(machine)
        check_upgrade(machine)
        check_broken(machine)
        check_cut_off(machine)
        check_removal(machine, before)
