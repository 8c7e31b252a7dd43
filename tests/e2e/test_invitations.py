"""People without any IdentityProvider: invited, with a passkey from then on, in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN, wait_for
from tests.e2e.pictures import Album
from tests.e2e.test_authenticators import Key
from tests.peers.browser import browser, playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page, Playwright

LINK = re.compile(rf"https://{re.escape(DOMAIN)}:[0-9]+/invite#([A-Za-z0-9_-]{{43}})")
DIARY = {
    "kind": "Service",
    "metadata": {"name": "diary"},
    "spec": {
        "mode": "WEB",
        "isPublic": True,
        "authorization": {"policies": ["allow-all"]},
        "config": {
            "http": {
                "response": {
                    "direct": {"contentType": "text/html", "inline": "<h1>Dear diary</h1>"}
                }
            }
        },
    },
}


def person(name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "User", "metadata": {"name": name}, "spec": {"type": "HUMAN", **spec}}


@dataclass(frozen=True)
class World:
    """A Cluster that knows people and no IdentityProvider."""

    cluster: SourceCluster
    driver: Playwright
    folder: Path
    album: Album

    @contextlib.contextmanager
    def browser(self, name: str) -> Iterator[Page]:
        """A page of a browser of its own."""
        authorities = [(self.cluster.data / "ca.pem").read_bytes()]
        with browser(self.driver, self.folder / name, authorities, DOMAIN) as context:
            page = context.pages[0]
            page.set_default_timeout(60_000)
            yield page

    def invite(self, name: str) -> str:
        """A link, as an administrator gets it."""
        told = json.loads(self.cluster.ctl("invite", name, "-o", "json"))
        assert LINK.fullmatch(told["url"])
        return str(told["url"])

    def attempts(self, *words: str) -> list[dict[str, Any]]:
        """What the authentication log tells of invitations, oldest first."""
        lines = self.cluster.ctl("logs", "auth", "-o", "json", *words).splitlines()
        found = [json.loads(line) for line in lines if line.strip()]
        return [each for each in found if each["way"] == "invitation"]


@pytest.fixture(scope="module", name="world")
def world_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("invitations")
    cluster = SourceCluster(folder / "cluster")
    with playwright() as driver:
        try:
            cluster.start()
            cluster.login()
            people = [person(name) for name in ("ann", "ben", "cy", "dan", "eve")]
            people[0]["metadata"]["displayName"] = "Ann Example"
            cluster.apply(DIARY, *people)
            yield World(cluster, driver, folder, Album())
        finally:
            cluster.remove()


def is_signed_in(page: Page) -> bool:
    return any(each["name"] == "octelium_rt" for each in page.context.cookies())


def accept(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("button", name="Accept the invitation").click()
    page.wait_for_url(re.compile("/invite/passkey$"))


def make_passkey(page: Page) -> None:
    page.get_by_role("button", name="Make a passkey").click()
    page.wait_for_url(re.compile(r"https://portal\."))


def files(folder: Path) -> list[bytes]:
    """What is in all files of a folder; some of a running Cluster's come and go."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                found.append(path.read_bytes())
    return found


def post(client: httpx.Client, world: World, **fields: str) -> httpx.Response:
    origin = world.cluster.url("", "")
    url = world.cluster.url("", "/invite")
    return client.post(url, data=fields, headers={"Origin": origin})


def test_from_the_link_to_a_protected_page_and_back(world: World) -> None:
    cluster = world.cluster
    link = world.invite("ann")
    token = link.partition("#")[2]
    with cluster.http() as client:  # a program that shows previews
        for method in ("GET", "HEAD"):
            answer = client.request(method, link)
            assert answer.status_code == 200
            assert "Ann" not in answer.text
    with world.browser("ann") as page:
        key = Key(page)
        page.goto(cluster.url("", "/invite"))
        world.album.take(page, "invitation-open")
        page.goto(link)
        page.get_by_role("button", name="Accept the invitation").wait_for()
        assert token not in page.url
        assert "Ann Example" in page.inner_text("main")
        world.album.take(page, "invitation")
        page.get_by_role("button", name="Accept the invitation").click()
        page.wait_for_url(re.compile("/invite/passkey$"))
        world.album.take(page, "invitation-passkey")

        # Nothing else is open yet: every way leads back here.
        for url in (
            cluster.url("diary", "/"),
            cluster.url("portal", "/"),
            cluster.url("", "/authenticators"),
            cluster.url("", "/login"),
        ):
            page.goto(url)
            page.wait_for_url(re.compile("/invite/passkey$"))
            assert "Dear diary" not in page.content()

        make_passkey(page)
        assert len(key.credentials()) == 1
        page.goto(cluster.url("diary", "/"))
        assert page.inner_text("h1") == "Dear diary"
        page.goto(cluster.url("", "/authenticators"))
        assert page.get_by_text("Chrome on Linux").first.is_visible()

        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(re.compile("done=signed-out"))
        assert not is_signed_in(page)
        page.goto(cluster.url("diary", "/today"))
        world.album.take(page, "login-with-passkey-alone")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url(cluster.url("diary", "/today"))
        assert page.inner_text("h1") == "Dear diary"

        # A configuration that says nothing of passkeys locks nobody out.
        spec = {"session": {"human": {"maxPerUser": 9}}}
        cluster.apply({"kind": "ClusterConfig", "metadata": {"name": "default"}, "spec": spec})
        for name in ("octelium_auth", "octelium_rt"):
            page.context.clear_cookies(name=name)
        page.goto(cluster.url("diary", "/today"))
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url(cluster.url("diary", "/today"))

    told = [(each["outcome"], each["reason"]) for each in world.attempts("--user", "ann")]
    assert len(told) == 3
    assert all(outcome == "succeeded" for outcome, _ in told)
    assert re.fullmatch(r"invited by User root \(Session root-[a-z0-9]{6}\)", told[0][1])
    assert "claimed" in told[1][1]
    assert told[2][1] == "a passkey is registered"
    logged = cluster.ctl("logs", "--tail", "500", "-o", "json")
    assert "/invite" in logged
    assert token not in logged
    assert token not in cluster.log.read_text()
    kept = files(cluster.data)
    assert kept
    assert all(token.encode() not in each for each in kept)


def test_another_browser_comes_too_late(world: World) -> None:
    link = world.invite("ben")
    with world.browser("ben") as page:
        Key(page)
        accept(page, link)
        with world.browser("thief") as other:
            other.goto(link)
            other.get_by_role("heading", name="not good any longer").wait_for()
            world.album.take(other, "invitation-used")
            assert not is_signed_in(other)
        # The window was closed: the same browser goes on, by the link or the login page.
        page.goto("about:blank")
        page.goto(link)
        page.wait_for_url(re.compile("/invite/passkey$"))
        make_passkey(page)
    refused = [each for each in world.attempts("--user", "ben") if each["outcome"] == "refused"]
    assert refused
    assert all("claimed before" in each["reason"] for each in refused)


def test_a_newer_link_makes_the_earlier_void(world: World) -> None:
    first = world.invite("cy")
    with world.browser("cy") as page:
        accept(page, first)
        second = world.invite("cy")
        page.goto(world.cluster.url("", "/invite/passkey"))
        page.wait_for_url(re.compile("/login"))
        accept(page, second)
        world.cluster.ctl("invite", "cy", "--revoke")
        page.goto(world.cluster.url("", "/invite/passkey"))
        page.wait_for_url(re.compile("/login"))


def test_without_scripts_the_link_is_pasted(world: World) -> None:
    link = world.invite("dan")
    authorities = [(world.cluster.data / "ca.pem").read_bytes()]
    with browser(world.driver, world.folder / "plain", authorities, DOMAIN) as context:
        page = context.pages[0]
        page.set_default_timeout(60_000)
        devtools = context.new_cdp_session(page)
        devtools.send("Emulation.setScriptExecutionDisabled", {"value": True})
        page.goto(link)
        page.get_by_label("Link").fill(link)
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Accept the invitation").click()
        page.wait_for_url(re.compile("/invite/passkey$"))
        page.get_by_role("button", name="Make a passkey").click()
        assert "need JavaScript" in page.content()


def test_other_hosts_and_sites_get_nowhere(world: World) -> None:
    cluster, token = world.cluster, world.invite("dan").partition("#")[2]
    with cluster.http() as client:
        for service in ("portal", "diary", "octelium-api"):
            answer = client.post(cluster.url(service, "/invite"), data={"invitation": token})
            assert "Accept" not in answer.text
        for headers in ({}, {"Origin": cluster.url("diary", "")}, {"Origin": "null"}):
            url = cluster.url("", "/invite")
            answer = client.post(url, data={"invitation": token}, headers=headers)
            assert answer.status_code == 400
            assert "dan" not in answer.text
        assert "Accept" in post(client, world, invitation=token).text


def test_killed_processes_lose_nothing(world: World) -> None:
    """kill -9 after each step: what was said holds, what was not done can be done."""
    cluster, link = world.cluster, world.invite("eve")

    def kill() -> None:
        number = cluster.kill("control")
        wait_for(lambda: cluster.children().get("control", number) != number)
        wait_for(cluster._ready)

    kill()
    with world.browser("eve") as page:
        Key(page)
        page.goto(link)
        page.get_by_role("button", name="Accept the invitation").wait_for()
        kill()
        page.get_by_role("button", name="Accept the invitation").click()
        page.get_by_role("alert").wait_for()  # the page's key is gone; the invitation is not
        page.get_by_role("button", name="Accept the invitation").click()
        page.wait_for_url(re.compile("/invite/passkey$"))
        kill()
        make_passkey(page)
        kill()
        page.goto(cluster.url("diary", "/"))
        assert page.inner_text("h1") == "Dear diary"
    with cluster.http() as client:
        assert post(client, world, invitation=link).status_code == 403


def test_who_may_invite(world: World) -> None:
    """As every other call: only whom a Policy lets, oneself included."""
    cluster = world.cluster
    cluster.apply(person("frank"))
    cluster.ctl("create", "credential", "frank-cli", "--user", "frank")
    token = json.loads(cluster.ctl("create", "credential", "frank-cli", "--rotate", "-o", "json"))[
        "authenticationToken"
    ]["authenticationToken"]
    environment = {**cluster.base_environment(), "OCTELIUM_HOME": str(world.folder / "frank")}
    words = ["--endpoint", f"127.0.0.1:{cluster.port}", "--ca-file", str(cluster.data / "ca.pem")]

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*cluster.up_command()[:3], *command], env=environment, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip

    assert run("login", *words, "--auth-token", token).returncode == 0
    for name in ("frank", "ann"):
        done = subprocess.run(
            [cluster.up_command()[0], "-c", _CTL, "invite", name], env=environment,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done
        assert "PermissionDenied: you may not do this" in done.stderr
        assert done.stdout == ""


_CTL = (
    "import sys; from octelium.cli.program import program; "
    "sys.exit(program('octeliumctl').run(sys.argv[1:]))"
)


class Started:
    """`octelium up` on a terminal of its own."""

    def __init__(self, cluster: SourceCluster, *, log: Path | None = None) -> None:
        cluster.folder.mkdir(parents=True, exist_ok=True)
        self._bytes = b""
        self._terminal, theirs = pty.openpty()
        errors = theirs if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        cluster.process = subprocess.Popen(
            cluster.up_command(), env=cluster.base_environment(),
            stdin=theirs, stdout=theirs, stderr=errors,
        )  # fmt: skip
        for descriptor in {theirs, errors}:
            os.close(descriptor)

    @property
    def seen(self) -> str:
        """What stands on the terminal, as far as it was read."""
        return self._bytes.decode(errors="ignore")  # a character may be there by half

    def read_until(self, text: str, seconds: float = 120) -> str:
        """What stands on the terminal by the time that `text` does."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self._terminal], [], [], 0.2)[0]:
                self._bytes += os.read(self._terminal, 65536)
        return self.seen

    def close(self) -> None:
        os.close(self._terminal)


def test_the_first_start_on_a_terminal(world: World, tmp_path: Path) -> None:
    cluster = SourceCluster(tmp_path / "cluster", workers=1)
    try:
        started = Started(cluster)
        seen = started.read_until("--auth-token")
        found = LINK.search(seen)
        assert found is not None, seen
        assert "administrator admin" in seen
        own = World(cluster, world.driver, tmp_path, world.album)
        with cluster.http() as client:
            asked = post(client, own, invitation=found[1])
            assert "Accept the invitation" in asked.text
            with own.browser("admin") as page:
                Key(page)
                page.goto(cluster.url("", "/login"))
                own.album.take(page, "login-first-start")
                accept(page, found[0])
                make_passkey(page)
                # Somebody who may do everything: the Portal shows what there is.
                assert "Demonstration page" in page.inner_text("main")
        cluster.stop()
        started.close()
        assert all(found[1].encode() not in each for each in files(cluster.data))

        again = Started(cluster)  # not the first start any longer
        wait_for(cluster._ready)
        assert LINK.search(again.read_until("/readyz")) is None
        done = cluster.run("octops", "invite", "admin", "--data-dir", str(cluster.data))
        assert LINK.fullmatch(done.stdout.strip())
        again.close()
    finally:
        cluster.remove()


def test_a_first_start_whose_messages_are_kept(tmp_path: Path) -> None:
    """A log may be read by others: no link is in it, but the command that makes one."""
    cluster = SourceCluster(tmp_path / "cluster", workers=1)
    try:
        log = tmp_path / "log"
        started = Started(cluster, log=log)
        started.read_until("--auth-token")
        told = log.read_text()
        assert LINK.search(told + started.seen) is None
        (line,) = [line for line in told.splitlines() if "octops invite" in line]
        words = line.split()
        assert words[1:] == [
            "invite", "admin", "--administrator", "--data-dir", str(cluster.data)
        ]  # fmt: skip
        done = cluster.run(*words)
        assert LINK.fullmatch(done.stdout.strip())
        again = cluster.run(*words)
        assert LINK.fullmatch(again.stdout.strip())
        assert again.stdout != done.stdout
        started.close()
    finally:
        cluster.remove()
