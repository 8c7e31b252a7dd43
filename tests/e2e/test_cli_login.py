"""People and workloads log in on a command line, at a Cluster with real identity providers."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN
from tests.http import certs
from tests.peers import issuer as issuers
from tests.peers.browser import browser, playwright
from tests.peers.oidc import OidcProvider, oidc_provider, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page, Playwright

SUBJECT = "repo:example/app:ref:refs/heads/main"
_URL = re.compile(r"https://\S+")


@dataclass(frozen=True)
class World:
    """A Cluster, what vouches for people and workloads, and a browser's driver."""

    cluster: SourceCluster
    provider: OidcProvider
    issuer: issuers.Issuer
    driver: Playwright
    folder: Path

    @contextmanager
    def browser(self, name: str) -> Iterator[Page]:
        """A page of a browser of its own."""
        authorities = [certs.ca().chain, (self.cluster.data / "ca.pem").read_bytes()]
        with browser(self.driver, self.folder / name, authorities, DOMAIN) as context:
            page = context.pages[0]
            page.set_default_timeout(60_000)
            yield page

    def words(self, program: str, *words: str) -> list[str]:
        """A command line from the sources."""
        return [sys.executable, "-m", "octelium", program, *words]

    def environment(self, home: str, **more: str) -> dict[str, str]:
        """Of somebody who has never logged in, without a display."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("OCTELIUM_") and name not in ("DISPLAY", "WAYLAND_DISPLAY")
        }
        kept.update(
            OCTELIUM_HOME=str(self.folder / home),
            OCTELIUM_DOMAIN=DOMAIN,
            OCTELIUM_API_ENDPOINT=f"127.0.0.1:{self.cluster.port}",
            SSL_CERT_FILE=str(self.cluster.data / "ca.pem"),
        )
        return {**kept, **more}

    def run(self, home: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `octelium`."""
        return subprocess.run(
            self.words("octelium", *words), env=self.environment(home, **more),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    @contextmanager
    def login(self, home: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A login that waits for a person."""
        process = subprocess.Popen(
            self.words("octelium", "login", *words), env=self.environment(home),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def who(self, home: str) -> str:
        """Who is remembered to be logged in."""
        done = self.run(home, "status", "-o", "json")
        assert done.returncode == 0, done.stderr
        return done.stdout


def documents(provider: OidcProvider, issuer: issuers.Issuer) -> list[dict[str, Any]]:
    """The IdentityProviders, a person, and a workload."""

    def user(name: str, kind: str, provider: str, identifier: str) -> dict[str, Any]:
        identity = {"identityProvider": provider, "identifier": identifier}
        spec = {"type": kind, "authentication": {"identities": [identity]}}
        return {"kind": "User", "metadata": {"name": name}, "spec": spec}

    return [
        *provider.resources(),
        {
            "kind": "IdentityProvider",
            "metadata": {"name": "platform"},
            "spec": {"oidcIdentityToken": {"issuerURL": issuer.url}},
        },
        user("ann", "HUMAN", "corp", "ann"),
        user("app", "WORKLOAD", "platform", SUBJECT),
    ]


@pytest.fixture(scope="module", name="world")
def world_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("cli-login")
    trusted = folder / "provider-ca.pem"
    trusted.write_bytes(certs.ca().chain)
    cluster = SourceCluster(folder / "cluster", environment={"SSL_CERT_FILE": str(trusted)})
    with (
        oidc_provider(cluster.url("", "/callback"), {"ann": {}}) as provider,
        issuers.issuer() as issuer,
        playwright() as driver,
    ):
        try:
            cluster.start()
            cluster.login()
            cluster.apply(*documents(provider, issuer))
            yield World(cluster, provider, issuer, driver, folder)
        finally:
            cluster.remove()


def told(process: subprocess.Popen[str], pattern: re.Pattern[str]) -> str:
    """What a command says on stderr that is like `pattern`."""
    assert process.stderr is not None
    for line in process.stderr:
        if (found := pattern.search(line)) is not None:
            return found[0]
    raise AssertionError(process.wait(60))


def sign_in_at(world: World, page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Continue with Example Corp").click()
    page.wait_for_url(f"{world.provider.issuer}/**")
    sign_in(page, "ann")
    page.wait_for_url(lambda address: not address.startswith(world.provider.issuer))


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_a_browser_lets_the_command_line_in(world: World) -> None:
    with world.login("web", "--web", "--scope", "api:user") as login, world.browser("web") as page:
        sign_in_at(world, page, told(login, _URL))
        page.wait_for_url(re.compile("/callback/success/approval"))
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url(re.compile(rf"^https://(portal\.)?{re.escape(DOMAIN)}"))
        code, out, err = finished(login)
    assert (code, out) == (0, "")
    assert f"Logged in to {DOMAIN} as ann" in err
    assert '"name": "ann"' in world.who("web")
    # The Session has the scopes that were asked for.
    refused = subprocess.run(
        world.words("octeliumctl", "get", "users"), env=world.environment("web"),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "PermissionDenied" in refused.stderr


def test_a_code_lets_a_machine_without_a_browser_in(world: World) -> None:
    with world.login("device", "--device") as login, world.browser("device") as page:
        sign_in_at(world, page, told(login, re.compile(r"https://\S+user_code=\S+")))
        page.get_by_role("button", name="Allow").click()
        page.get_by_role("heading", name="The machine is let in").wait_for()
        code, out, err = finished(login)
    assert (code, out) == (0, "")
    assert f"Logged in to {DOMAIN} as ann" in err
    assert '"name": "ann"' in world.who("device")


def test_a_code_that_is_denied(world: World) -> None:
    with world.login("denied", "--device") as login, world.browser("denied") as page:
        sign_in_at(world, page, told(login, re.compile(r"https://\S+user_code=\S+")))
        page.get_by_role("button", name="Deny").click()
        code, _, err = finished(login)
    assert code == 1
    assert "the login was denied" in err
    assert not (world.folder / "denied/octelium.db").exists()


def test_a_workload_with_an_assertion(world: World) -> None:
    token = world.issuer.token(SUBJECT, f"https://{DOMAIN}")
    file = world.folder / "assertion"
    file.write_text(token)
    words = ("login", "--assertion", f"platform:jwt:file={file}")
    done = world.run("workload", *words)
    assert done.returncode == 0, done.stderr
    assert f"Logged in to {DOMAIN} as app" in done.stderr
    done = world.run("workload-2", "status", OCTELIUM_ASSERTION_FILE=str(file))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("subject", "audience", "life"),
    [
        ("somebody-else", f"https://{DOMAIN}", 300),
        (SUBJECT, "https://other.test", 300),
        (SUBJECT, f"https://{DOMAIN}", -300),
    ],
)
def test_an_assertion_that_proves_nothing(
    world: World, subject: str, audience: str, life: int
) -> None:

    token = world.issuer.token(subject, audience, exp=int(time.time()) + life)
    done = world.run("nobody", "login", "--assertion", "jwt:env=A", A=token)
    assert done.returncode == 1
    assert "the Cluster does not accept this assertion" in done.stderr
    assert token not in done.stderr


def test_nobody_is_asked_without_a_terminal(world: World) -> None:
    done = world.run("nobody", "login")
    assert done.returncode == 1
    assert "not logged in" in done.stderr
    assert "--auth-token" in done.stderr


def test_a_person_at_a_terminal_without_a_browser_gets_a_code(world: World) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        world.words("octelium", "login"), env=world.environment("terminal"),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = b""
        while b"user_code=" not in shown:
            shown += os.read(ours, 1024)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"enter the code" in shown
    assert not (world.folder / "terminal/octelium.db").exists()


def test_a_login_in_a_browser_can_be_given_up(world: World) -> None:
    with world.login("given-up", "--web") as login:
        told(login, _URL)
        login.send_signal(signal.SIGINT)
        code, _, err = finished(login)
    assert code == 130
    assert "Interrupted" in err


def test_a_session_that_has_to_be_approved(world: World) -> None:
    cluster = world.cluster
    spec = {"type": "WORKLOAD", "session": {"defaultState": "PENDING"}}
    cluster.apply({"kind": "User", "metadata": {"name": "newcomer"}, "spec": spec})
    cluster.ctl("create", "credential", "newcomers", "--user", "newcomer")
    made = json.loads(cluster.ctl("create", "credential", "newcomers", "--rotate", "-o", "json"))
    token = made["authenticationToken"]["authenticationToken"]
    done = world.run("pending", "login", "--auth-token", token)
    assert done.returncode == 0, done.stderr
    waits = re.search(r"the Session (\S+) waits for approval; an administrator", done.stderr)
    assert waits is not None, done.stderr
    refused = world.run("pending", "status")
    assert refused.returncode == 1
    assert f"octeliumctl update session {waits[1]} --approve" in refused.stderr
    cluster.ctl("update", "session", waits[1], "--approve")
    told = world.run("pending", "status")
    assert told.returncode == 0, told.stderr
    assert "newcomer (WORKLOAD)" in told.stdout
    assert re.search(r"State: +active, ends 20\d\d-", told.stdout)
    log = cluster.ctl("logs", "auth", "--user", "newcomer")
    assert f"has approved Session {waits[1]}" in log
