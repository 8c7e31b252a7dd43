"""A server and a laptop in network namespaces, on which documents are run as they stand."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e import echoes
from tests.e2e.cluster import ROOT, ZIPAPP, wait_for
from tests.http import certs
from tests.peers.issuer import issuer
from tests.peers.namespaces import network
from tests.peers.platforms import Job
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace

DOMAIN = "example.com"
SERVER, LAPTOP = "server", "laptop"
_SERVER_ADDRESS, _LAPTOP_ADDRESS = "192.0.2.1", "192.0.2.7"
_GITHUB, _GITHUB_ADDRESS = "token.actions.githubusercontent.com", "198.51.100.10"
_KUBERNETES, _KUBERNETES_ADDRESS = f"kubernetes.{DOMAIN}", "198.51.100.11"
_POD = """
mount -t tmpfs tmpfs "$(readlink -f /var/run)"
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
cat > /var/run/secrets/kubernetes.io/serviceaccount/token
"""
_SUBDOMAIN = re.compile(r"\b((?:[a-z0-9-]+\.)+)example\.com\b")
_ALWAYS = ("octelium-api", "portal")
_MOUNT = """
set -e
mkdir /var/lib/octelium
mount --bind "$1" /var/lib/octelium
"""
"""Hosts of these networks have an empty /var/lib of their own."""
_PROGRAM = """#!/bin/sh
if [ "$1" = up ]; then exec {zipapp} "$@"; fi
PYTHONPATH={root} exec {python} -m octelium {name} "$@"
"""
"""The Cluster is that of the built file; commands are those of the sources, which start sooner."""
_SUDO = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    -H | -E) shift ;;
    -u) shift 2 ;;
    *) break ;;
  esac
done
exec env "$@"
"""
_SECONDS = 300
_SIZE = (24, 80)
"""Lines and columns of a terminal."""


@dataclass
class Background:
    """A command that goes on, at a terminal of its own."""

    process: subprocess.Popen[bytes]
    terminal: int
    said: str = ""
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    """Characters arrive in parts at times."""

    def has_said(self, pattern: str) -> bool:
        """Whether what fits the pattern has been written. Raises RuntimeError if it cannot be."""
        ended = self.process.poll() is not None  # then all that it has said can be read
        self._listen()
        if re.search(pattern, self.said):
            return True
        if ended:
            raise RuntimeError(f"ended with {self.process.returncode}: {self.said}")
        return False

    def _listen(self) -> None:
        while select.select([self.terminal], [], [], 0)[0]:
            try:
                self.said += self.decoder.decode(os.read(self.terminal, 65536))
            except OSError:  # its last process has closed the terminal
                break
        self.said = self.said.replace("\r\n", "\n")

    def _has_ended(self) -> bool:
        self._listen()  # who writes to a terminal that nobody reads waits
        return self.process.poll() is not None

    def end(self) -> None:
        """End it and all that it has started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                wait_for(self._has_ended, 60)
            except TimeoutError:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        os.close(self.terminal)


@dataclass
class World:
    """Two hosts; the Cluster of example.com is on one of them, or will be."""

    folder: Path
    hosts: dict[str, Namespace]
    job: Job
    """Of GitHub Actions, in the repository example/cluster."""
    running: list[Background] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """What is /var/lib/octelium on the server."""
        return self.folder / "data"

    def environment(self, host: str) -> dict[str, str]:
        """Of a person at a host whose programs trust the Cluster's authority."""
        authority = self.data / "ca.pem"
        trusted = self.folder / "authorities.pem"
        own = authority.read_bytes() if authority.exists() else b""
        trusted.write_bytes(own + certs.ca().chain)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OCTELIUM_", "PYTHON"))}
        return {
            **kept,
            "HOME": str(self.folder / f"home-{host}"),
            "XDG_CONFIG_HOME": str(self.folder / f"home-{host}/.config"),
            "PATH": f"{self.folder / 'bin'}:{kept['PATH']}",
            # Unpacked once for all tests, and with as few processes as will do.
            "SHIV_ROOT": os.environ.get("SHIV_ROOT", str(Path.home() / ".shiv")),
            "OCTELIUM_WORKERS": "1",
            "SSL_CERT_FILE": str(trusted),
            "CURL_CA_BUNDLE": str(trusted),
            "NO_COLOR": "1",
            "TERM": "dumb",
        }

    def shell(self, script: str, host: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a script to its end; stdout has stderr too."""
        return subprocess.run(
            [*self._words(host, folder), "bash", "-euo", "pipefail", "-c", script],
            env=self.environment(host), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip

    def background(self, script: str, host: str, folder: Path, said: str) -> Background:
        """Run a script until it has said what fits a pattern, and go on."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))
        process = subprocess.Popen(
            [*self._words(host, folder), "bash", "-euo", "pipefail", "-c", script],
            env={**self.environment(host), "TERM": "xterm-256color"}, start_new_session=True,
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        made = Background(process, ours)
        self.running.append(made)
        wait_for(lambda: made.has_said(said), _SECONDS)
        return made

    def start_cluster(self) -> None:
        """Run `octelium up` with tunnels, and sign in as the first administrator on both hosts."""
        words = f"octelium up --domain {DOMAIN} --tunnel on --admin ''"
        listen = f"--public-address {_SERVER_ADDRESS}"
        up = self.background(f"exec {words} {listen}", SERVER, self.folder, r"--auth-token (\S+)\s")
        match = re.search(r"--auth-token (\S+)\s", up.said)
        assert match is not None
        for host in self.hosts:
            script = f"octelium login --domain {DOMAIN} --auth-token {match[1]}"
            done = self.shell(script, host, self.folder)
            assert done.returncode == 0, done.stdout

    def end(self, since: int = 0) -> None:
        """End what runs in the background, the last first."""
        for each in reversed(self.running[since:]):
            each.end()
        del self.running[since:]

    def _words(self, host: str, folder: Path) -> list[str]:
        return [*self.hosts[host].enter, program("env", "coreutils"), "-C", str(folder)]


@contextmanager
def world(texts: str) -> Iterator[World]:
    """The hosts, on which the names of example.com that `texts` mention lead to the server."""
    # Paths of sockets are short (unix(7)), and those of tests' own folders are not.
    with tempfile.TemporaryDirectory(prefix="docs-") as name, _world(Path(name), texts) as made:
        yield made


@contextmanager
def _world(folder: Path, texts: str) -> Iterator[World]:
    for name in ("data", "bin", f"home-{SERVER}", f"home-{LAPTOP}"):
        (folder / name).mkdir()
    programs = {
        name: _PROGRAM.format(zipapp=ZIPAPP, python=sys.executable, root=ROOT, name=name)
        for name in ("octelium", "octeliumctl", "octops")
    }
    for name, text in {**programs, "sudo": _SUDO}.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    prefixes = {match.rstrip(".") for match in _SUBDOMAIN.findall(texts)}
    prefixes -= {each for each in prefixes if each.endswith("local")}  # the tunnel's own names
    names = [DOMAIN, *(f"{each}.{DOMAIN}" for each in sorted({*prefixes, *_ALWAYS}))]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    echo = ROOT / "tests/e2e/echo.py"
    with network(folder) as made, ExitStack() as stack:
        server, laptop = made.namespace(SERVER), made.namespace(LAPTOP)
        made.cable(server, f"{_SERVER_ADDRESS}/24", laptop, f"{_LAPTOP_ADDRESS}/24")
        laptop.ip(f"route add default via {_SERVER_ADDRESS}")
        for each in (server, laptop):
            known = dict.fromkeys(names, _SERVER_ADDRESS)
            each.resolve({**known, _GITHUB: _GITHUB_ADDRESS, _KUBERNETES: _KUBERNETES_ADDRESS})
        server.run("sh", "-c", _MOUNT, "sh", folder / "data")
        for host, port in ((server, "3000"), (server, "8080"), (laptop, "2342")):
            stack.enter_context(host.process(sys.executable, echo, port, **quiet))
        for code in (echoes.STREAMS, echoes.DATAGRAMS):
            stack.enter_context(server.process(sys.executable, "-c", code, **quiet))
        platform = made.namespace("platform")
        made.cable(server, "198.51.100.1/24", platform, f"{_GITHUB_ADDRESS}/24")
        platform.ip(f"address add {_KUBERNETES_ADDRESS}/24 dev to-{SERVER}")
        github = stack.enter_context(issuer(platform.listen(_GITHUB_ADDRESS, 443), _GITHUB))
        pods = issuer(platform.listen(_KUBERNETES_ADDRESS, 443), _KUBERNETES)
        kubernetes = stack.enter_context(pods)
        token = kubernetes.token(
            "system:serviceaccount:shop:default", f"https://{DOMAIN}", exp=int(time.time()) + 7200
        )  # for as long as all documents take
        server.run("sh", "-ec", _POD, input=token)
        job = Job(github, "repo:example/cluster:ref:refs/heads/main")
        here = World(folder, {SERVER: server, LAPTOP: laptop}, job)
        try:
            yield here
        finally:
            here.end()
