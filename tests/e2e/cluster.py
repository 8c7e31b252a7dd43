"""A Cluster from the built zipapp, as the end-to-end tests see it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from tests.peers import programs
from tests.peers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
ZIPAPP = ROOT / "dist/octelium.pyz"
DOMAIN = "octelium.localhost"


def wait_for(attempt: Callable[[], Any], seconds: float = 120, every: float = 0.02) -> Any:
    """Call until it neither raises nor returns what is false or empty; its result.

    None is a result: calls may tell by raising alone. Raises what the last attempt raised, or
    TimeoutError.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = attempt()
            if result or result is None:
                return result
            failure: Exception = TimeoutError(f"still {result!r}")
        except (OSError, httpx.HTTPError, grpc.RpcError, AssertionError) as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure
        time.sleep(every)


def _to_loopback(request: httpx.Request) -> None:
    """Connect to 127.0.0.1 whatever the name; not every resolver knows `*.localhost`."""
    request.extensions["sni_hostname"] = request.url.host
    request.url = request.url.copy_with(host="127.0.0.1")


@dataclass
class Cluster:
    """`octelium up` on free ports of the loopback interface."""

    folder: Path
    workers: int = 2
    port: int = field(default_factory=free_port)
    admin: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ()
    """Words before every command, such as those that enter a network namespace."""
    process: subprocess.Popen[bytes] | None = None
    token: str = ""

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server processes wrote."""
        return self.folder / "up.log"

    def base_environment(self) -> dict[str, str]:
        """The environment of every command, without settings of the outside."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OCTELIUM_")}
        kept.update(OCTELIUM_HOME=str(self.folder / "home"), OCTELIUM_DOMAIN=DOMAIN)
        kept["OCTELIUM_TUNNEL"] = "off"  # machines have only one port 53820
        return kept

    def up_command(self) -> list[str]:
        """The command line of the server."""
        return [
            str(ZIPAPP), "up", "--domain", DOMAIN, "--data-dir", str(self.data),
            "--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin}",
            "--workers", str(self.workers),
        ]  # fmt: skip

    def start(self) -> Cluster:
        """Start the server and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        saved = self.folder / "token"
        environment = {
            **self.base_environment(),
            "OCTELIUM_AUTH_TOKEN_SAVE_PATH": str(saved),
            **self.environment,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, *self.up_command()], env=environment, stdout=log, stderr=log
            )
        wait_for(self._ready, 120)
        if saved.exists():
            self.token = saved.read_text().strip()
        return self

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text())
        url = f"http://127.0.0.1:{self.admin}/readyz"
        if self.within:
            asked = [*self.within, programs.program("curl", "curl"), "-fsS", url]
            return subprocess.run(asked, capture_output=True, check=False).returncode == 0
        return httpx.get(url).status_code == 200

    def stop(self) -> float:
        """SIGTERM and wait; the seconds that it took."""
        assert self.process is not None
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return time.monotonic() - started

    def remove(self) -> None:
        """Stop, whatever the state, and delete the folder."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- processes -------------------------------------------------------------------------------

    def children(self) -> dict[str, int]:
        """Names of the server's processes (`control`, `worker-0`, …) and their ids."""
        assert self.process is not None
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError, IndexError):
                stat = (entry / "stat").read_text()
                name, rest = stat[stat.index("(") + 1 :].rsplit(")", 1)
                state, parent = rest.split()[:2]
                if int(parent) == self.process.pid and name.startswith("oct-") and state != "Z":
                    found[name.removeprefix("oct-")] = int(entry.name)
        return found

    def kill(self, name: str) -> int:
        """SIGKILL one process; its id."""
        number = self.children()[name]
        os.kill(number, signal.SIGKILL)
        return number

    # -- commands --------------------------------------------------------------------------------

    def run(
        self, program: str, *words: str, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `octelium`, `octeliumctl` or `octops` of the zipapp."""
        done = subprocess.run(
            [*self.within, str(ROOT / "dist" / program), *words],
            env=self.base_environment(), input=text,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"{program} {words}: {done.stdout}\n{done.stderr}")
        return done

    def start_of_a_program(self) -> float:
        """Seconds that a program of this project takes to start at present."""
        began = time.monotonic()
        self.run("octelium", "--help")
        return time.monotonic() - began

    def ctl(self, *words: str, check: bool = True, text: str | None = None) -> str:
        """stdout of `octeliumctl`."""
        return self.run("octeliumctl", *words, check=check, text=text).stdout

    def login(self, token: str | None = None) -> None:
        """Sign in with the first token."""
        self.run(
            "octelium", "login", "--endpoint", f"127.0.0.1:{self.port}",
            "--ca-file", str(self.data / "ca.pem"), "--auth-token", token or self.token,
        )  # fmt: skip

    def apply(self, *documents: dict[str, Any], check: bool = True) -> str:
        """Apply resources given as JSON forms."""
        text = "\n---\n".join(json.dumps(document) for document in documents)
        return self.ctl("apply", "--include-secret", "-", text=text, check=check)

    # -- requests --------------------------------------------------------------------------------

    def tls(self) -> ssl.SSLContext:
        """Trusts the Cluster's CA."""
        return ssl.create_default_context(cafile=str(self.data / "ca.pem"))

    def http(self, **options: Any) -> httpx.Client:
        """A client whose every `https://NAME.octelium.localhost` reaches this Cluster."""
        hooks = {"request": [_to_loopback]}
        return httpx.Client(verify=self.tls(), timeout=60, event_hooks=hooks, **options)

    def url(self, service: str, path: str = "/") -> str:
        """The URL of a Service (empty for the domain itself)."""
        host = f"{service}.{DOMAIN}" if service else DOMAIN
        return f"https://{host}:{self.port}{path}"

    def connect(self, name: str = DOMAIN, alpn: Sequence[str] = ("http/1.1",)) -> ssl.SSLSocket:
        """A raw TLS connection with this server name."""
        context = self.tls()
        context.set_alpn_protocols(list(alpn))
        raw = socket.create_connection(("127.0.0.1", self.port), 60)
        return context.wrap_socket(raw, server_hostname=name)

    def channel(self) -> grpc.Channel:
        """A channel to the API."""
        return grpc.secure_channel(
            f"127.0.0.1:{self.port}",
            grpc.ssl_channel_credentials((self.data / "ca.pem").read_bytes()),
            options=[
                ("grpc.ssl_target_name_override", f"octelium-api.{DOMAIN}"),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_receive_message_length", -1),
            ],
        )

    def api(self, channel: grpc.Channel | None = None, token: str | None = None) -> Api:
        """The API as the first administrator, or with another authentication token."""
        api = Api(channel or self.channel())
        api.authenticate(token or self.token)
        return api


class Api:
    """A raw gRPC client of the official API."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.access_token = ""
        self.refresh_token = ""

    def call(self, package: Any, method: str, request: Any, **metadata: str) -> Any:
        """Call a method of a package's MainService; raises grpc.RpcError."""
        descriptor = package.DESCRIPTOR.services_by_name["MainService"]
        found = descriptor.methods_by_name[method]
        reply = getattr(package, found.output_type.name, None)
        if reply is None:
            from google.protobuf import message_factory

            reply = message_factory.GetMessageClass(found.output_type)
        stub: Any = self.channel.unary_unary(
            f"/{descriptor.full_name}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        pairs = [(name.replace("_", "-"), value) for name, value in metadata.items()]
        return stub(request, metadata=tuple(pairs), timeout=90)

    def authenticate(self, token: str) -> auth.SessionToken:
        """Sign in with an authentication token."""
        request = auth.AuthenticateWithAuthenticationTokenRequest(authentication_token=token)
        reply: auth.SessionToken = self.call(auth, "AuthenticateWithAuthenticationToken", request)
        self.access_token, self.refresh_token = reply.access_token, reply.refresh_token
        return reply

    def core(self, method: str, request: Any) -> Any:
        """Call core.v1."""
        return self.call(core, method, request, x_octelium_auth=self.access_token)

    def user(self, method: str, request: Any) -> Any:
        """Call user.v1."""
        return self.call(user, method, request, x_octelium_auth=self.access_token)
