"""Who is measured: this Cluster, and other proxies in front of the same upstream."""

from __future__ import annotations

import datetime as dt
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import octelium
from bench import tools
from bench.processes import BenchError, Processes
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import DOMAIN, Api, Cluster, wait_for
from tests.peers.ports import free_port

SESSIONS: Final = 100
PEERS: Final = ("envoy", "haproxy", "nginx", "caddy")
_FILES: Final = Path(__file__).parent / "peers"
_LARGE: Final = 1 << 30


@dataclass
class Contestant:
    """A running proxy. `root` is the process whose tree is weighed."""

    name: str
    version: str
    root: int
    tls: int
    plain: int | None
    parts: dict[str, int] = field(default_factory=dict)
    """Processes of the tree to be weighed apart as well, by name."""


@dataclass
class Upstream:
    """The upstream of all contestants and what every configuration is filled with."""

    folder: Path
    core: int
    small: int = field(default_factory=free_port)
    sink: int = field(default_factory=free_port)

    def start(self, processes: Processes) -> None:
        """Start both servers and wait for them."""
        self.folder.chmod(0o755)
        with (self.folder / "large").open("wb") as large:
            large.truncate(_LARGE)
        _write_certificate(self.folder)
        config = self.render("upstream.conf", "", 0, 0)
        processes.start("upstream", ["nginx", "-c", str(config)], self.core)
        words = [sys.executable, "-m", "bench.sink", str(self.sink)]
        processes.start("sink", words, self.core, {"PYTHONPATH": str(tools.ROOT)})
        for port in (self.small, self.sink):
            wait_for(lambda port=port: _listens(port), 20)

    def render(self, file: str, name: str, tls: int, plain: int) -> Path:
        """Fill a committed configuration in; its path."""
        folder = self.folder / name if name else self.folder
        folder.mkdir(exist_ok=True)
        text = (_FILES / file).read_text()
        values = {
            "FOLDER": self.folder,
            "UPSTREAM": self.small,
            "SINK": self.sink,
            "TLS": tls,
            "PLAIN": plain,
        }
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        path = folder / file
        path.write_text(text)
        return path


def start_peer(name: str, upstream: Upstream, processes: Processes, core_: int) -> Contestant:
    """Start another proxy from its committed configuration.

    Raises:
        BenchError: it does not come up.
    """
    tls, plain = free_port(), free_port()
    environment: dict[str, str] = {}
    if name == "envoy":
        config = upstream.render("envoy.yaml", name, tls, plain)
        program = str(tools.ensure_envoy())
        words = [program, "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
        words += ["--log-level", "error"]
        version = tools.version([program, "--version"])
    elif name == "haproxy":
        config = upstream.render("haproxy.cfg", name, tls, plain)
        words = ["haproxy", "-db", "-f", str(config)]
        version = tools.version(["haproxy", "-v"])
    elif name == "nginx":
        config = upstream.render("nginx.conf", name, tls, plain)
        words = ["nginx", "-c", str(config)]
        version = tools.version(["nginx", "-v"])
    elif name == "caddy":
        config = upstream.render("Caddyfile", name, tls, plain)
        words = ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]
        home = str(upstream.folder)
        environment = {"GOMAXPROCS": "1", "HOME": home, "XDG_DATA_HOME": home}
        version = tools.version(["caddy", "version"])
    else:
        raise BenchError(f"no contestant is called {name!r}")
    process = processes.start(name, words, core_, environment)

    def ready() -> bool:
        if process.poll() is not None:
            raise BenchError(f"{name} ended: {(upstream.folder / f'{name}.out').read_text()}")
        return _listens(tls) and _listens(plain)

    wait_for(ready, 30)
    return Contestant(name, version, process.pid, tls, plain)


class PinnedCluster(Cluster):
    """A Cluster on one core."""

    core: int = 0

    def up_command(self) -> list[str]:
        """The command line of the server."""
        return ["taskset", "-c", str(self.core), *super().up_command()]


def pinned(folder: Path, core_: int) -> PinnedCluster:
    """A Cluster with one worker on a core, not started yet."""
    cluster = PinnedCluster(folder, workers=1)
    cluster.core = core_
    return cluster


def describe(cluster: Cluster) -> Contestant:
    """The Cluster as a contestant."""
    assert cluster.process is not None
    root, parts = cluster.process.pid, cluster.children()
    return Contestant("octelium", octelium.__version__, root, cluster.port, None, parts)


def furnish(cluster: Cluster, upstream: Upstream) -> list[str]:
    """Apply Services with three Policies and sign in `SESSIONS` times; the access tokens."""
    small = f"http://127.0.0.1:{upstream.small}"
    sink = f"http://127.0.0.1:{upstream.sink}"
    cluster.login()
    cluster.apply(
        {"kind": "Group", "metadata": {"name": "bench"}, "spec": {}},
        _policy(
            "bench-members",
            "ALLOW",
            '"bench" in ctx.user.spec.groups'
            ' && ctx.request.http.method in ["GET", "HEAD", "POST", "PUT"]',
        ),
        _policy("bench-no-admin", "DENY", 'ctx.request.http.path.startsWith("/admin")'),
        _policy("bench-clientless", "DENY", 'ctx.session.status.type != "CLIENTLESS"'),
        {
            "kind": "User",
            "metadata": {"name": "bench"},
            "spec": {"type": "WORKLOAD", "groups": ["bench"]},
        },
        {
            "kind": "Credential",
            "metadata": {"name": "bench"},
            "spec": {"type": "AUTH_TOKEN", "user": "bench", "sessionType": "CLIENTLESS"},
        },
        *[_service(name, url) for name, url in (("bench", small), ("sink", sink))],
    )
    with cluster.channel() as channel:
        admin = cluster.api(channel)
        request = core.GenerateCredentialTokenRequest(
            credential_ref=meta.ObjectReference(name="bench")
        )
        made: Any = admin.core("GenerateCredentialToken", request)
        token = made.authentication_token.authentication_token
        tokens = []
        for _ in range(SESSIONS):
            api = Api(channel)
            api.authenticate(token)
            tokens.append(api.access_token)
    return tokens


def _policy(name: str, effect: str, match: str) -> dict[str, Any]:
    rule = {"name": name, "effect": effect, "condition": {"match": match}}
    return {"kind": "Policy", "metadata": {"name": name}, "spec": {"rules": [rule]}}


def _service(name: str, url: str) -> dict[str, Any]:
    policies = ["bench-members", "bench-no-admin", "bench-clientless"]
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "mode": "HTTP",
            "isPublic": True,
            "authorization": {"policies": policies},
            "config": {"upstream": {"url": url}},
        },
    }


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def _write_certificate(folder: Path) -> None:
    """A self-signed certificate for the Cluster's names, ECDSA P-256 as the Cluster's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, DOMAIN)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(DOMAIN), x509.DNSName(f"*.{DOMAIN}")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for file, content in (
        ("certificate.pem", chain),
        ("key.pem", secret),
        ("both.pem", chain + secret),
    ):
        path = folder / file
        path.touch(mode=0o600)
        path.write_bytes(content)
