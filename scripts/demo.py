"""The tour of `./build.sh demo`: a Cluster from the zipapp, examples applied, real requests.

Every step says what it runs and checks what came out. With `--exit` everything is stopped after
the tour, and the exit status is 0 only if each step came out as it should.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
DOMAIN = "octelium.localhost"
UPSTREAM_PORT = 18080
KEY = "s3cret-inventory-key"
SECRETS = re.compile(r"[A-Za-z0-9_-]{150,}")
"""Octelium's tokens, which the tour does not show."""
WIDTH = 150
BOLD, GREEN, RED, DIM, PLAIN = (
    ("\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("",) * 5
)
ENDS = {signal.SIGINT, signal.SIGTERM}


class StepError(Exception):
    """A step that did not come out as it should."""


def free_port(preferred: int) -> int:
    """`preferred` if nobody listens there, else any free port of the loopback interface."""
    for port in (preferred, 0):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise StepError("no free port on 127.0.0.1")


class Demo:
    """One run of the tour."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="octelium-demo-"))
        self.data = self.folder / "data"
        self.examples = Path("examples")
        self.port = free_port(8443)
        self.admin = free_port(8480)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.failures = 0
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("OCTELIUM_")
            },
            "OCTELIUM_HOME": str(self.folder / "home"),
            "OCTELIUM_DOMAIN": DOMAIN,
        }

    # -- telling ---------------------------------------------------------------------------------

    @staticmethod
    def heading(text: str) -> None:
        print(f"\n{BOLD}{text}{PLAIN}", flush=True)

    def check(self, what: str, good: bool, detail: str = "") -> None:
        mark = f"{GREEN}ok{PLAIN}" if good else f"{RED}FAILED{PLAIN}"
        print(f"   {mark}  {what}" + (f"  {DIM}{detail}{PLAIN}" if detail else ""), flush=True)
        if not good:
            self.failures += 1

    def command(self, *words: str) -> str:
        """Run a command of the zipapp; its stdout. Shows the command, and what it printed."""
        print(f" $ {SECRETS.sub('…', shlex.join(words))}", flush=True)
        done = subprocess.run(
            [str(DIST / words[0]), *words[1:]],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for line in (done.stdout + done.stderr).splitlines():
            short = line if len(line) <= WIDTH else line[:WIDTH] + " …"
            print(f"   {DIM}{SECRETS.sub('…', short)}{PLAIN}", flush=True)
        if done.returncode != 0:
            raise StepError(f"{words[0]} {words[1]} ended with status {done.returncode}")
        return done.stdout

    def curl(self, *words: str) -> tuple[int, str]:
        """A request by curl: HTTP status and body."""
        base = ["curl", "-sS", "--max-time", "5", "--cacert", str(self.data / "ca.pem")]
        for host in (DOMAIN, f"inventory.{DOMAIN}", f"demo-nginx.{DOMAIN}"):
            base += ["--resolve", f"{host}:{self.port}:127.0.0.1"]
        done = subprocess.run(
            [*base, "-w", "\n%{http_code}", *words], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise StepError(f"curl: {done.stderr.strip()}")
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    # -- the walk --------------------------------------------------------------------------------

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        # Ctrl-C is for the tour, which ends them.
        process = subprocess.Popen(
            [*words], env=self.environment, cwd=ROOT, process_group=0, **options
        )
        self.processes.append(process)
        return process

    def start_upstream(self) -> None:
        self.heading("1. An HTTP server that demands an API key")
        port = free_port(UPSTREAM_PORT)
        if port != UPSTREAM_PORT:
            print(f"   port {UPSTREAM_PORT} is taken: a copy of examples/ says {port}")
            self.examples = self.folder / "examples"
            shutil.copytree(ROOT / "examples", self.examples)
            services = self.examples / "40-services.yaml"
            services.write_text(services.read_text().replace(str(UPSTREAM_PORT), str(port)))
        self.start(sys.executable, "scripts/inventory_server.py", str(port), KEY)
        self.wait(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
        status, body = self.curl(f"http://127.0.0.1:{port}/stock")
        self.check("without the key it refuses", status == 401, body)

    def start_cluster(self) -> str:
        self.heading("2. A Cluster, from one file")
        words = ["up", "--domain", DOMAIN, "--data-dir", str(self.data)]
        words += ["--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin}"]
        print(f" $ octelium {shlex.join(words)}", flush=True)
        token_file = self.folder / "token"
        self.environment["OCTELIUM_AUTH_TOKEN_SAVE_PATH"] = str(token_file)
        log = (self.folder / "up.log").open("wb")
        started = time.monotonic()
        up = self.start(str(DIST / "octelium"), *words, stdout=log, stderr=log)
        del self.environment["OCTELIUM_AUTH_TOKEN_SAVE_PATH"]

        def ready() -> None:
            if up.poll() is not None:
                raise StepError((self.folder / "up.log").read_text())
            status, _ = self.curl(f"http://127.0.0.1:{self.admin}/readyz")
            if status != 200:
                raise ConnectionError

        self.wait(ready, 60)
        self.check("ready", True, f"after {time.monotonic() - started:.1f} s, all set-up included")
        return token_file.read_text().strip()

    def login(self, token: str) -> None:
        self.heading("3. The first administrator signs in")
        endpoint = f"127.0.0.1:{self.port}"
        ca = str(self.data / "ca.pem")
        words = ("login", "--endpoint", endpoint, "--ca-file", ca, "--auth-token", token)
        self.command("octelium", *words)
        self.check("signed in", "root" in self.command("octelium", "status"))

    def apply(self) -> tuple[str, str]:
        self.heading("4. Everything is declared in YAML and applied")
        self.command("octeliumctl", "apply", "--include-secret", str(self.examples))
        again = self.command("octeliumctl", "apply", str(self.examples))
        self.check(
            "applying again changes nothing", "no" in again.lower() and "chang" in again.lower()
        )
        made = json.loads(
            self.command(
                "octeliumctl", "create", "credential", "robot-oauth2", "--rotate", "-o", "json"
            )
        )
        pair = made["oauth2Credentials"]
        return pair["clientID"], pair["clientSecret"]

    def requests(self, client: str, secret: str) -> None:
        self.heading("5. A workload gets an access token and uses the API")
        base = f"https://{DOMAIN}:{self.port}"
        print(
            f" $ curl -d grant_type=client_credentials -d client_id={client} … {base}/oauth2/token"
        )
        form = ("grant_type=client_credentials", f"client_id={client}", f"client_secret={secret}")
        words = [word for pair in form for word in ("-d", pair)]
        status, body = self.curl(*words, f"{base}/oauth2/token")
        self.check("OAuth2 client credentials", status == 200, f"HTTP {status}")
        token = json.loads(body)["access_token"]
        bearer = ("-H", f"Authorization: Bearer {token}")
        inventory = f"https://inventory.{DOMAIN}:{self.port}"
        print(f" $ curl -H 'Authorization: Bearer …' {inventory}/stock")
        status, body = self.curl(*bearer, f"{inventory}/stock")
        self.check("allowed, with the key that only Vigil holds", status == 200, body.strip())
        print(f" $ curl -H 'Authorization: Bearer …' {inventory}/admin/keys")
        status, _ = self.curl(*bearer, f"{inventory}/admin/keys")
        self.check("another path is refused by policy", status == 403, f"HTTP {status}")
        print(f" $ curl {inventory}/stock")
        status, _ = self.curl(f"{inventory}/stock")
        self.check("without identity it is refused", status == 401, f"HTTP {status}")

    def logs(self) -> None:
        self.heading("6. The access log says who, what and why")
        time.sleep(0.5)
        self.command("octeliumctl", "logs", "--service", "inventory")
        text = self.command("octeliumctl", "logs", "--service", "inventory", "-o", "json")
        entries = [json.loads(line)["entry"] for line in text.splitlines()]
        seen = {
            (
                entry["info"]["http"]["response"]["code"],
                entry["common"].get("userRef", {}).get("name", ""),
                entry["common"].get("reason", {}).get("type", ""),
                entry["common"]
                .get("reason", {})
                .get("details", {})
                .get("policyMatch", {})
                .get("ruleName"),
            )
            for entry in entries
        }
        self.check("allowed by a rule", (200, "robot", "POLICY_MATCH", "read-only") in seen)
        self.check("refused by a rule", (403, "robot", "POLICY_MATCH", "admin-paths") in seen)
        self.check("refused for want of identity", any(e[:2] == (401, "") for e in seen))

    def next_steps(self) -> None:
        home = self.folder / "home"
        self.heading("What to try next")
        print(
            f"""  export OCTELIUM_DOMAIN={DOMAIN} OCTELIUM_HOME={home}
  dist/octelium get service                 the Services that you may see
  dist/octeliumctl get service -o yaml      the same as an administrator
  dist/octeliumctl edit policy no-admin-paths
  dist/octeliumctl logs -f                  then, elsewhere:
  curl --cacert {self.data}/ca.pem https://demo-nginx.{DOMAIN}:{self.port}/
  https://{DOMAIN}:{self.port}/   (trust {self.data}/ca.pem in the browser first)
  http://127.0.0.1:{self.admin}/metrics

  Sign in elsewhere, with a token from `dist/octeliumctl create credential --user root`:
  dist/octelium login --domain {DOMAIN} --endpoint 127.0.0.1:{self.port} \\
    --ca-file {self.data}/ca.pem --auth-token …
  Ctrl-C stops everything and removes {self.folder}""",
            flush=True,
        )

    # -- plumbing --------------------------------------------------------------------------------

    @staticmethod
    def wait(attempt: Any, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                attempt()
                return
            except (OSError, StepError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, leave: bool) -> int:
        try:
            self.start_upstream()
            token = self.start_cluster()
            self.login(token)
            self.requests(*self.apply())
            self.logs()
            if not leave:
                self.next_steps()
                signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
                signal.sigwait(ENDS)
        except KeyboardInterrupt:
            print("\nStopped.", file=sys.stderr)
            return 128 + signal.SIGINT
        except (StepError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            self.check(f"{type(error).__name__}: {error}", False)
            log = self.folder / "up.log"
            if log.exists():
                print(log.read_text()[-4000:], file=sys.stderr)
        finally:
            self.stop()
        good = self.failures == 0
        print(f"\n{'Everything came out as it should.' if good else f'{self.failures} failed.'}")
        return 0 if good else 1


def main() -> int:
    unknown = [word for word in sys.argv[1:] if word != "--exit"]
    if unknown:
        print("usage: ./build.sh demo [--exit]", file=sys.stderr)
        return 2
    return Demo().run(leave="--exit" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
