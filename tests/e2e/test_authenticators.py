"""People register security keys, passkeys and apps with a real browser, and sign in with them.

Chromium plays the security key itself:
https://chromedevtools.github.io/devtools-protocol/tot/WebAuthn/
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.authenticators import totp
from tests.cluster.conftest import SourceCluster
from tests.e2e.pictures import Album
from tests.e2e.test_web_login import World, documents
from tests.http import certs
from tests.peers.browser import playwright
from tests.peers.oidc import oidc_provider, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import CDPSession, Page

CONFIG = {
    "kind": "ClusterConfig",
    "metadata": {"name": "default"},
    "spec": {
        "authenticator": {
            "enablePasskeyLogin": True,
            "authenticationEnforcementRules": [
                {"condition": {"matchAny": True}, "effect": "ENFORCE"}
            ],
        }
    },
}


@pytest.fixture(scope="module", name="world")
def world_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("authenticators")
    trusted = folder / "provider-ca.pem"
    trusted.write_bytes(certs.ca().chain)
    cluster = SourceCluster(folder / "cluster", environment={"SSL_CERT_FILE": str(trusted)})
    users = {name: {"email": f"{name}@example.com"} for name in ("ann", "ben")}
    with (
        oidc_provider(cluster.url("", "/callback"), users) as provider,
        playwright() as driver,
    ):
        try:
            cluster.start()
            cluster.login()
            cluster.apply(CONFIG, *documents(provider))
            yield World(cluster, provider, driver, folder, Album())
        finally:
            cluster.remove()


class Key:
    """A security key that is plugged into a page's browser, and touched whenever it asks."""

    def __init__(self, page: Page) -> None:
        self._devtools: CDPSession = page.context.new_cdp_session(page)
        self._devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = self._devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = made["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        """What it holds, private keys included."""
        found = self._devtools.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        credentials: list[dict[str, Any]] = found["credentials"]
        return credentials

    def be_a_copy_from_before(self) -> None:
        """Count from the beginning again, as an old copy of it would."""
        (credential,) = self.credentials()
        which = {"authenticatorId": self._id, "credentialId": credential["credentialId"]}
        self._devtools.send("WebAuthn.removeCredential", which)
        old = {**credential, "signCount": 1}
        self._devtools.send(
            "WebAuthn.addCredential", {"authenticatorId": self._id, "credential": old}
        )

    def deny(self) -> None:
        """Have its owner fail to prove who it is."""
        told = {"authenticatorId": self._id, "isUserVerified": False}
        self._devtools.send("WebAuthn.setUserVerified", told)


def through_provider(world: World, page: Page, name: str) -> None:
    page.goto(world.cluster.url("", "/login"))
    page.get_by_role("button", name="Continue with Example Corp").click()
    landed = re.compile(rf"{re.escape(world.provider.issuer)}/|/authenticators/|https://portal\.")
    page.wait_for_url(landed)  # the provider knows who has been there
    if page.url.startswith(world.provider.issuer):
        sign_in(page, name)


def forget(page: Page, world: World) -> None:
    """Lose the Session, but neither the provider's nor the key."""
    for name in ("octelium_auth", "octelium_rt"):
        page.context.clear_cookies(name=name)


def is_signed_in(page: Page) -> bool:
    return any(each["name"] == "octelium_rt" for each in page.context.cookies())


def later(step: int) -> int:
    """A step after one that was used, and good at present."""
    return max(step + 1, totp.step_at(time.time()))


def test_a_security_key_from_registration_to_a_clone(world: World) -> None:
    cluster = world.cluster
    with world.browser("ann") as page:
        through_provider(world, page, "ann")
        page.wait_for_url(re.compile(r"https://portal\."))
        key = Key(page)
        page.goto(cluster.url("", "/authenticators"))
        world.album.take(page, "authenticators-none")
        page.get_by_role("button", name="Add a security key or passkey").click()
        page.wait_for_url(re.compile("done=registered"))
        assert page.get_by_role("button", name="Remove fido-").is_visible()
        world.album.take(page, "authenticators")
        assert len(key.credentials()) == 1

        forget(page, world)
        through_provider(world, page, "ann")
        page.wait_for_url(re.compile("/authenticators/authenticate$"))
        world.album.take(page, "authenticate")
        page.goto(cluster.url("diary", "/"))
        assert "Dear diary" not in page.content()
        page.goto(cluster.url("", "/authenticators/authenticate"))
        page.get_by_role("button", name="Use your security key").click()
        page.wait_for_url(re.compile(r"https://portal\."))
        page.goto(cluster.url("diary", "/"))
        assert page.inner_text("h1") == "Dear diary"

        forget(page, world)
        page.goto(cluster.url("diary", "/today"))
        world.album.take(page, "login-with-passkey")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url(cluster.url("diary", "/today"))
        assert page.inner_text("h1") == "Dear diary"

        forget(page, world)
        key.be_a_copy_from_before()
        page.goto(cluster.url("", "/login"))
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url(re.compile("error=passkey"))
        assert not is_signed_in(page)
        through_provider(world, page, "ann")
        page.wait_for_url(re.compile("/authenticators/authenticate$"))
        page.get_by_role("button", name="Use your security key").click()
        page.get_by_role("alert").wait_for()
        assert page.url.endswith("/authenticators/authenticate/finish")
    log = cluster.ctl("get", "authenticators", "-o", "json")
    assert "clone warning" in log


def test_an_app_as_second_factor(world: World) -> None:
    cluster = world.cluster
    with world.browser("ben") as page:
        through_provider(world, page, "ben")
        page.wait_for_url(re.compile(r"https://portal\."))
        page.goto(cluster.url("", "/authenticators"))
        page.get_by_role("button", name="Add an authenticator app").click()
        shown = page.locator("pre").inner_text().replace(" ", "")
        world.album.take(page, "register-app")
        assert page.locator("img.code").evaluate("image => image.naturalWidth") > 0
        secret = base64.b32decode(shown + "=" * (-len(shown) % 8))
        step = totp.step_at(time.time())
        page.get_by_label("Code that the app shows").fill(totp.code(secret, step))
        page.get_by_role("button", name="Register").click()
        page.wait_for_url(re.compile("done=registered"))

        forget(page, world)
        through_provider(world, page, "ben")
        page.wait_for_url(re.compile("/authenticators/authenticate$"))
        field = page.get_by_label("Code that your authenticator app shows")
        field.fill(totp.code(secret, step))  # the one that registered it
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("alert").wait_for()
        world.album.take(page, "authenticate-refused")
        page.goto(cluster.url("", "/callback/success"))
        page.wait_for_url(re.compile("/authenticators/authenticate$"))
        field.fill(totp.code(secret, later(step)))
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(re.compile(r"https://portal\."))


def test_a_key_whose_owner_is_not_there(world: World) -> None:
    with world.browser("nobody") as page:
        key = Key(page)
        key.deny()
        page.goto(world.cluster.url("", "/login"))
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.get_by_role("status").filter(has_text="You can try again").wait_for()
        world.album.take(page, "passkey-cancelled")
        assert not is_signed_in(page)


def test_an_app_on_a_terminal(world: World) -> None:
    cluster = world.cluster
    cluster.ctl("create", "user", "pocket", "--policy", "allow-all")
    cluster.ctl("create", "credential", "ann-cli", "--user", "pocket", "--session-type", "client")
    token = json.loads(cluster.ctl("create", "credential", "ann-cli", "--rotate", "-o", "json"))[
        "authenticationToken"
    ]["authenticationToken"]
    environment = {**cluster.base_environment(), "OCTELIUM_HOME": str(world.folder / "home")}
    program = [sys.executable, "-m", "octelium"]
    where = ["--endpoint", f"127.0.0.1:{cluster.port}", "--ca-file", str(cluster.data / "ca.pem")]

    def run(*words: str) -> str:
        done = subprocess.run(
            [*program, *words], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr

    run("login", *where, "--auth-token", token)
    with subprocess.Popen(
        [*program, "auth", "authenticator", "create", "--name", "Pocket"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as creating:
        assert creating.stdout is not None
        assert creating.stdin is not None
        key = next(line for line in creating.stdout if line.startswith("Key: ")).split()[1]
        secret = base64.b32decode(key + "=" * (-len(key) % 8))
        step = totp.step_at(time.time())
        creating.stdin.write(totp.code(secret, step) + "\n")
        creating.stdin.close()
    assert creating.returncode == 0
    assert "Pocket" in run("auth", "authenticator", "list")
    name = run("auth", "authenticator", "list", "-o", "name").split()[-1]
    code = totp.code(secret, later(step))
    assert "Authenticated" in run("auth", "authenticator", "authenticate", name, "--code", code)
    with pytest.raises(subprocess.CalledProcessError):
        run("auth", "authenticator", "authenticate", name, "--code", code)
    assert "pocket (HUMAN)" in run("status")
