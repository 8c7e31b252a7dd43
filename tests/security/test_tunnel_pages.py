"""Row 19 of the security table, with a real browser on a connected computer: pages whose names turn
to a Service's address, and pages that send to it what the user did not mean.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SOAK
from tests.e2e.cluster import DOMAIN, wait_for
from tests.e2e.documents import credential, workload
from tests.e2e.test_connect import GATEWAY, ReachableCluster
from tests.e2e.test_private_network import service, token
from tests.peers.browser import chromium_within, playwright
from tests.peers.namespaces import network
from tests.peers.programs import program
from tests.peers.tunnel_client import tunnel_client

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.e2e.cluster import Cluster
    from tests.peers.namespaces import Namespace

EVIL, REBOUND = "192.0.2.3", "192.0.2.4"
WORDS = (sys.executable, "-I", "-u", "-c")
_ATTACKER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!doctype html><title>attacker</title>attacker"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
made = ThreadingHTTPServer((sys.argv[1], 80), Pages)
print("ready", flush=True)
made.serve_forever()
"""
_UPSTREAM = """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Records(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/favicon.ico":  # browsers want one with every page
            print(json.dumps([self.command, self.path]), flush=True)
        body = b"<!doctype html><title>secret</title>secret"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", 8000), Records).serve_forever()
"""
_NAMES = """
import socket, sys
addresses = [socket.inet_aton(each) for each in sys.argv[1:]]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
    bound.bind(("127.0.0.1", 53))
    print("ready", flush=True)
    while True:
        query, asker = bound.recvfrom(512)
        end = query.index(0, 12) + 5
        found = addresses if query[end - 4 : end] == bytes([0, 1, 0, 1]) else []
        head = query[:2] + bytes([0x81, 0x80, 0, 1, 0, len(found), 0, 0, 0, 0])
        record = bytes([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4])
        bound.sendto(head + query[12:end] + b"".join(record + each for each in found), asker)
"""
"""A name server that knows two addresses of every name."""
PLAIN, TRUSTED = "web.local", f"web.local.{DOMAIN}"
"""Names of one Service. Browsers tell `Sec-Fetch-Site` to origins that may be trusted, which those
of *.localhost are (W3C Secure Contexts, section 3.1); to others they tell `Origin` alone.
"""
FOREIGN = ("evil.test", f"evil.{DOMAIN}")
"""Hosts of the attacker's pages: of another site, and of the same one as TRUSTED is."""
ACTS = {
    "fetch": "u => fetch(u, {method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x'})",
    "fetch of JSON": """u => fetch(u, {method: 'POST', body: '{}',
        headers: {'Content-Type': 'application/json'}})""",
    "fetch that deletes": "u => fetch(u, {method: 'DELETE'})",
    "XMLHttpRequest": """u => new Promise((done, failed) => {
        const made = new XMLHttpRequest(); made.open('PUT', u);
        made.onload = done; made.onerror = failed; made.send('x')})""",
    "beacon": "u => navigator.sendBeacon(u, 'x')",
    "form in a frame": """u => new Promise(done => {
        document.body.innerHTML = `<iframe name=f></iframe><form method=post target=f action="${u}">
            <input name=a value=b></form>`;
        document.querySelector('iframe').onload = done; document.forms[0].submit()})""",
    "WebSocket": """u => new Promise((done, failed) => {
        const made = new WebSocket(u.replace('http', 'ws')); made.onopen = done;
        made.onerror = () => failed('refused')})""",
}
"""What a page can do to change something elsewhere."""
SILENT = ("fetch", "beacon", "form in a frame")
"""Acts that tell a page nothing of their fate."""
_FORM = """u => {
    document.body.innerHTML = `<form method=post action="${u}"><input name=a value=b></form>`;
    document.forms[0].submit()}"""
_EMBED = """([element, url]) => new Promise(done => {
    const made = document.createElement(element);
    made.onload = () => done('load'); made.onerror = () => done('error');
    made.src = url; document.body.append(made)})"""


@dataclass
class World:
    """A connected computer with a browser, an attacker's host, and a Service's upstream."""

    cluster: Cluster
    evil: Namespace
    browser: Browser
    upstream: list[tuple[str, str]]
    """Method and target of each request that reached it."""
    addresses: dict[str, str]
    _marks: Iterator[int] = field(default_factory=itertools.count)

    def page(self, host: str) -> Page:
        """A page of a host, in a browser that has forgotten everything."""
        page = self.browser.new_context().new_page()
        page.set_default_timeout(60_000)
        page.goto(f"http://{host}/")
        return page

    def reached(self) -> list[tuple[str, str]]:
        """What has reached the upstream since the last call, as far as it was answered."""
        mark = "GET", f"/mark-{next(self._marks)}"
        url = f"http://127.0.0.1:8000{mark[1]}"
        asked = [*self.cluster.within, program("curl", "curl"), "-fsS", url]
        subprocess.run(asked, capture_output=True, check=True, timeout=60)
        wait_for(lambda: mark in self.upstream)
        found = self.upstream[: self.upstream.index(mark)]
        self.upstream.clear()
        return found

    def refusals(self, wanted: Collection[str]) -> list[str]:
        """Lines of refusals in the access log, once each of these paths is there."""
        lines: list[str] = []

        def logged() -> None:
            words = ("logs", "--user", "alice", "--decision", "denied", "--tail", "1000")
            lines[:] = self.cluster.ctl(*words).splitlines()
            missing = [path for path in wanted if not any(f" {path} " in each for each in lines)]
            assert not missing, "\n".join(lines)

        wait_for(logged, every=0.1)
        return [line for line in lines if any(f" {path} " in line for path in wanted)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("pages")
    with network(folder) as made:
        host, client, evil = (made.namespace(name) for name in ("host", "client", "evil"))
        places = {"host": f"{GATEWAY}/24", "client": "192.0.2.2/24", "evil": f"{EVIL}/24"}
        made.switch("lan", places)
        evil.ip(f"address add {REBOUND}/24 dev to-lan")
        (client.etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30\n")
        cluster = ReachableCluster(
            folder / "cluster",
            workers=1,
            within=host.enter,
            environment={"OCTELIUM_TUNNEL": "on", "OCTELIUM_ENGINE": "own"},
        )
        try:
            with (
                host.process(*WORDS, _UPSTREAM, stdout=subprocess.PIPE) as upstream,
                attacking(evil, EVIL),
            ):
                yield from _running(folder, cluster, client, upstream, evil)
        finally:
            cluster.remove()


@contextmanager
def attacking(evil: Namespace, address: str) -> Iterator[subprocess.Popen[str]]:
    """The attacker's pages, at an address."""
    with evil.process(*WORDS, _ATTACKER, address, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def _running(
    folder: Path,
    cluster: Cluster,
    client: Namespace,
    upstream: subprocess.Popen[str],
    evil: Namespace,
) -> Iterator[World]:
    cluster.start()
    cluster.login()
    url = "http://127.0.0.1:8000"
    open_to = service("shared", "HTTP", url, 80)
    cors = {"allowOriginStringMatch": ["http://evil.test"], "allowMethods": "POST"}
    open_to["spec"]["config"]["http"] = {"cors": {**cors, "allowHeaders": "content-type"}}
    cluster.apply(
        workload("alice"),
        credential("alice-token", "alice", "AUTH_TOKEN", sessionType="CLIENT"),
        service("web", "HTTP", url, 80),
        service("site", "WEB", url, 80),
        open_to,
    )
    addresses = {}
    for told in json.loads(cluster.ctl("get", "service", "-o", "json"))["items"]:
        for both in told["status"].get("addresses", []):
            short = told["metadata"]["name"].removesuffix(".default")
            addresses[short] = both["dualStackIP"]["ipv4"]
    seen: list[tuple[str, str]] = []

    def read() -> None:
        for line in upstream.stdout or ():
            method, path = json.loads(line)
            seen.append((method, path))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    names = {name: f"{name}.local" for name in ("web", "site", "shared")}
    lines = {own: addresses[name] for name, own in names.items()}
    client.resolve({**lines, "evil.test": EVIL, "static.test": addresses["web"]})
    client.ip("link set lo up")
    asked = (sys.executable, "-I", "-c", _NAMES, REBOUND, addresses["web"])
    rules = [f"MAP {own}.{DOMAIN} {addresses[name]}" for name, own in names.items()]
    rules.append(f"MAP evil.{DOMAIN} {EVIL}")
    place = (client, f"{GATEWAY}:{cluster.port}", cluster.data / "ca.pem")
    with (
        tunnel_client(*place, token(cluster, "alice-token")),
        client.process(*asked, stdout=subprocess.PIPE) as named,
        playwright() as driver,
        chromium_within(driver, client.enter, folder, ", ".join(rules)) as browser,
    ):
        assert named.stdout is not None
        assert named.stdout.readline() == "ready\n"
        yield World(cluster, evil, browser, seen, addresses)
    upstream.kill()
    reader.join()  # before its pipe is closed


@pytest.mark.parametrize("name", ["web", "site"])
def test_a_persons_own_pages_are_as_they_were(world: World, name: str) -> None:
    """Without this the others would show nothing."""
    for host in (f"{name}.local", f"{name}.local.{DOMAIN}", world.addresses[name]):
        world.reached()
        page = world.page(host)
        assert page.title() == "secret"
        status = page.evaluate("fetch('/own', {method: 'POST', body: 'x'}).then(r => r.status)")
        assert status == 200
        assert ("POST", "/own") in world.reached()
        page.context.close()


@pytest.mark.parametrize("own", [PLAIN, TRUSTED, *([f"site.local.{DOMAIN}"] if SOAK else ())])
@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_pages_change_nothing(world: World, host: str, own: str) -> None:
    page = world.page(host)
    world.reached()
    paths = {act: f"/{host}/{own}/{act.replace(' ', '-')}" for act in ACTS}
    for act, code in ACTS.items():
        told = page.evaluate(
            "([act, url]) => Promise.resolve(eval(act)(url)).then(() => 'done', e => String(e))",
            [f"({code})", f"http://{own}{paths[act]}"],
        )
        if act not in SILENT:
            assert told != "done", act
    # Top-level, where cookies would come along too.
    paths["form"] = f"/{host}/{own}/form"
    with page.expect_navigation() as moved:
        page.evaluate(_FORM, f"http://{own}{paths['form']}")
    assert moved.value is not None
    assert moved.value.status == 403
    assert "another origin" in page.content()
    for line in world.refusals(paths.values()):
        assert "403" in line
        assert "caused by a page of an origin that has no right to" in line
    assert world.reached() == []
    page.context.close()


@pytest.mark.parametrize("own", [PLAIN, TRUSTED])
def test_foreign_pages_read_nothing(world: World, own: str) -> None:
    """Links are meant to work, so that these come; but nothing of the answer is the page's."""
    page = world.page("evil.test")
    url = f"http://{own}/secret"
    assert "TypeError" in page.evaluate("u => fetch(u).catch(String)", url)
    for element in ("img", "script"):
        made = page.evaluate(_EMBED, [element, url])
        assert made == "error"
    page.goto("about:blank")
    page.goto("http://evil.test/")
    opened = page.evaluate(
        """u => new Promise(done => {
            document.body.innerHTML = `<iframe src="${u}"></iframe>`;
            document.querySelector('iframe').onload = each => {
                try { done(each.target.contentWindow.document.body.innerText) }
                catch (error) { done(error.name) }}})""",
        url,
    )
    assert opened == "SecurityError"
    page.context.close()


def test_origins_that_the_settings_name(world: World) -> None:
    """`cors` of a Service lets pages of one origin in, and of no other."""
    json_type = "headers: {'Content-Type': 'application/json'}"
    post = f"u => fetch(u, {{method: 'POST', body: '{{}}', {json_type}}})"
    hosts = ("shared.local", f"shared.local.{DOMAIN}")
    world.reached()
    for host in hosts:
        page = world.page("evil.test")
        url = f"http://{host}/named/{host}"
        assert "secret" in page.evaluate(f"u => ({post})(u).then(r => r.text())", url)
        page.context.close()
        other = world.page(f"evil.{DOMAIN}")
        assert "TypeError" in other.evaluate(f"u => ({post})(u).catch(String)", f"{url}/other")
        other.context.close()
    world.refusals([f"/named/{host}/other" for host in hosts])
    assert world.reached() == [("POST", f"/named/{host}") for host in hosts]


def test_a_name_that_turns_to_a_service(world: World) -> None:
    """The attacker's name has two addresses. When the first one closes, the page's own origin is
    the Service, and the browser holds back nothing; `Host` is still the attacker's.
    """
    with attacking(world.evil, REBOUND):
        page = world.page("rebound.test")
        assert page.title() == "attacker"
    world.reached()
    for method in ("GET", "POST"):
        ask = "([method, url]) => fetch(url, {method}).then(async r => [r.status, await r.text()])"
        status, body = page.evaluate(ask, [method, f"/rebound/{method}"])
        assert status == 421
        assert "secret" not in body
    page.goto("http://static.test/rebound/top")
    assert "other names" in page.content()
    # Browsers try once more on another connection (RFC 9110, section 15.5.20).
    for line in world.refusals([f"/rebound/{last}" for last in ("GET", "POST", "top")]):
        assert "421" in line
        assert "called by a name that is not the Service's own" in line
    assert world.reached() == []
    page.context.close()
