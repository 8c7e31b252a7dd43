"""The terminal interface in a real terminal (tmux) on a real Cluster, small and large."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from octelium.tui.kinds import ADMINISTRATION
from tests.cluster.conftest import SourceCluster
from tests.conftest import SOAK
from tests.e2e.cluster import ROOT, wait_for
from tests.tui.test_inert import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = pytest.mark.skipif(not SOAK, reason="a variant that waits long")
HOSTILE = "/odd%E2%80%AE"
SERVICE = {
    "kind": "Service",
    "metadata": {"name": "wiki"},
    "spec": {
        "mode": "WEB",
        "isPublic": True,
        "config": {
            "http": {"response": {"direct": {"contentType": "text/html", "inline": "<p>Hi</p>"}}}
        },
    },
}


CLOSED = """\
kind: User
metadata: {name: ann}
spec: {type: HUMAN}
---
kind: Service
metadata: {name: wiki}
spec: {mode: WEB, isPublic: true, config: {upstream: {url: "http://127.0.0.1:9"}}}
"""
CASES = """\
cases:
  - {name: closed, who: ann, service: wiki, request: GET /, expect: deny}
"""


@dataclass
class Screen:
    """A tmux server of the test's own, with one window."""

    cluster: SourceCluster
    socket: Path

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        environ = {**self.cluster.base_environment(), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, size: tuple[int, int], *words: str, editor: str = "true") -> None:
        self.run(size, sys.executable, "-m", "octelium", *words, editor=editor)

    def run(self, size: tuple[int, int], *program: str, editor: str = "true") -> None:
        columns, lines = map(str, size)
        self.tmux(
            "new-session", "-d", "-x", columns, "-y", lines, "-e", f"EDITOR={editor}", *program
        )

    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def burst(self, *parts: str) -> None:
        """Keys by name and texts, as one write: nothing waits for what came of those before."""
        named = {"Enter": "\r", "Escape": "\x1b", "C-p": "\x10", "C-d": "\x04", "C-t": "\x14"}
        self.type("".join(named.get(part, part) for part in parts))

    def settles(self) -> None:
        """Wait until rows are there, or it is said that there are none."""
        wait_for(lambda: any(word in self.text() for word in ("▌ ", "There are no")))

    def sees(self, *words: str, seconds: float = 120) -> str:
        """Wait for words; the screen."""
        try:
            wait_for(lambda: all(word in self.text() for word in words), seconds)
        except TimeoutError:
            raise AssertionError(f"{words} are not on the screen:\n{self.text()}") from None
        return self.text()

    def at(self, title: str, *words: str) -> str:
        """Wait for a view, by its title, and for words in it; the screen."""
        wait_for(lambda: self.text().startswith(f" {title}"))
        return self.sees(title, *words)

    def goto(self, word: str) -> None:
        self.press(":")
        self.sees("╭")
        self.burst(word, "Enter")

    def ends(self) -> bool:
        done = subprocess.run(
            ["tmux", "-S", str(self.socket), "has-session"], capture_output=True, check=False
        )
        return done.returncode != 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceCluster]:
    made = SourceCluster(tmp_path_factory.mktemp("tui"), workers=1)
    try:
        made.start()
        made.login()
        made.apply(
            SERVICE, {"kind": "User", "metadata": {"name": "ann"}, "spec": {"type": "HUMAN"}}
        )
        yield made
    finally:
        made.remove()


@pytest.fixture
def screen(cluster: SourceCluster, tmp_path: Path) -> Iterator[Screen]:
    assert shutil.which("tmux"), "this test needs tmux"
    made = Screen(cluster, tmp_path / "tmux")
    yield made
    subprocess.run(
        ["tmux", "-S", str(made.socket), "kill-server"], capture_output=True, check=False
    )


SIZES = [(80, 24), pytest.param((200), marks=LONG)]
IDS = ["80x24", "200x60"]


@pytest.mark.parametrize("size", SIZES, ids=IDS)
def test_every_view(cluster: SourceCluster, screen: Screen, size: tuple[int, int]) -> None:
    """What is typed in one go, palette and all, gets where it was meant for."""
    screen.start(size, "octeliumctl", "tui")
    screen.sees("Overview", "Requests", "Refused", "Latency", "Health", "ok ")
    for view in ADMINISTRATION:
        screen.burst(":", view.words[0], "Enter")
        shown = screen.at(view.title)
        if not SOAK or view.kind is None:
            continue
        screen.settles()
        if "▌ " in screen.text():
            screen.press("d")
            screen.sees(f"{view.title} / ", "esc Close")
            screen.press("Escape")
            screen.at(view.title, "? Help  / Filter", "▌ ")
            screen.press("y")
            shown = screen.sees("/ YAML", f"kind: {view.kind.name}")
        assert harmless(shown.replace("\n", ""))
    screen.burst(":", "user", "Enter")
    screen.sees("▌ ann")
    screen.burst("C-p", "invite", "Enter")
    screen.sees("Make a link by which ann signs in?")
    screen.burst("n", "/", "nobody", "Enter")
    screen.sees("Nothing fits the filter")
    screen.press("Escape")
    screen.sees("▌ ann")
    screen.burst("C-t", "o", "O", "?")
    screen.sees("Help", "General")
    screen.burst("/", "describe", "Enter")
    screen.sees("line 1 of 1")
    screen.press("q")
    wait_for(screen.ends)


@pytest.mark.parametrize("size", SIZES, ids=IDS)
def test_changes(
    cluster: SourceCluster, screen: Screen, size: tuple[int, int], tmp_path: Path
) -> None:
    name = f"team{size[0]}"
    editor = tmp_path / "editor"
    editor.write_text(
        f"#!/bin/sh\nsed -i 's/NAME/{name}/; s/^spec: {{}}/spec: {{authorization: {{}}}}/; "
        's/type: WORKLOAD/type: HUMAN/\' "$1"\n'
    )
    editor.chmod(0o755)
    screen.start(size, "octeliumctl", "tui", "groups", editor=str(editor))
    screen.at("Groups")
    # What somebody else changes comes by itself.
    other = f"later{size[0]}"
    cluster.apply({"kind": "Group", "metadata": {"name": other}, "spec": {}})
    screen.sees(other)
    screen.press("n")
    screen.sees(f"Group {name} / new, not applied yet", "+kind: Group")
    screen.press("Escape")
    screen.sees("The text is kept")
    screen.press("n")
    screen.sees("Go on with the text of a new Group")
    screen.press("y")
    screen.sees(f"Group {name} / new, not applied yet")
    screen.press("y")
    screen.sees(f"Group {name} created", f"{name}")
    assert f'"{name}"' in cluster.ctl("get", "group", name, "-o", "json")
    screen.burst("/", name, "Enter", "C-d")
    screen.sees(f"Delete Group {name}?", "y  yes")
    screen.press("y")
    screen.sees(f"Group {name} deleted")
    assert "NotFound" in cluster.run("octeliumctl", "get", "group", name, check=False).stderr

    robot = f"robot{size[0]}"
    cluster.apply({"kind": "User", "metadata": {"name": robot}, "spec": {"type": "WORKLOAD"}})
    screen.burst(":", f"user {robot}", "Enter")
    screen.sees(f"▌ {robot}")
    screen.press("e")
    screen.sees("not applied yet", "+  type: HUMAN")
    screen.press("p")
    screen.sees("Access that changes")
    screen.press("Escape")
    screen.sees("not applied yet")
    screen.press("y")
    screen.sees(f"User {robot} updated")
    screen.tmux("set", "-s", "set-clipboard", "on")
    screen.press("c")
    screen.sees("Copied the name.")
    wait_for(lambda: screen.tmux("show-buffer").strip() == robot)
    screen.press("w")
    screen.sees(f"What {robot} may open")
    screen.press("Escape")
    screen.sees(f"▌ {robot}")
    screen.press("i")
    screen.sees(f"Make a link by which {robot} signs in?")
    screen.press("y")
    screen.sees(f"Invitation / {robot}", f"For {robot}")

    screen.burst(":", "secret", "Enter")
    screen.at("Secrets")
    screen.burst("n", f"key{size[0]}", "Enter")
    screen.sees(f"Value of Secret key{size[0]}")
    screen.burst("hunter2", "Enter")
    screen.sees(f"Secret key{size[0]} created")
    assert "hunter2" not in screen.text()
    screen.burst(":", "cred root-init", "Enter")
    screen.sees("▌ root-init")
    screen.press("s")
    screen.sees("Make a token of Credential root-init?")
    screen.burst("n", ":", "sess", "Enter")
    screen.at("Sessions", "▌ ", "ACTIVE")
    screen.press("C-d")
    screen.sees("Revoke Session")
    screen.burst("n", "a")
    screen.sees("Approve Session")
    screen.burst("n", "q")
    wait_for(screen.ends)


@pytest.mark.parametrize("size", SIZES, ids=IDS)
def test_logs_and_policies(
    cluster: SourceCluster, screen: Screen, size: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "cluster.yaml").write_text(CLOSED)
    (tmp_path / "wiki.test.yaml").write_text(CASES)
    screen.start(size, "octeliumctl", "tui", "access", "--readonly")
    screen.sees("Access log", "read-only")
    with cluster.http() as client:
        client.get(cluster.url("wiki", HOSTILE), headers=[(b"user-agent", "a\u202eb".encode())])
    shown = screen.sees("wiki.default", "odd", "denied")
    assert harmless(shown.replace("\n", ""))
    screen.press("x")
    screen.sees("Why?", "Request")
    screen.press("Escape")
    screen.sees("following")
    screen.press("d")
    shown = screen.sees("Access log / ", "entry:")
    assert harmless(shown.replace("\n", ""))
    screen.press("Escape")
    screen.sees("following")
    screen.burst("f", "/", "odd", "Enter")
    screen.sees("standing still", "/odd")
    screen.burst(":", "svc wiki", "Enter")
    screen.sees("▌ wiki.default")
    screen.press("w")
    screen.sees("Which Users may open wiki.default", "ann")
    screen.press("Escape")
    screen.sees("▌ wiki.default")
    screen.press("l")
    screen.sees("Access log of service wiki.default", "odd")
    screen.burst(":", "pol allow-all", "Enter")
    screen.sees("▌ allow-all")
    screen.press("p")
    screen.sees("If Policy allow-all were disabled")
    screen.press("Escape")
    screen.sees("▌ allow-all")
    screen.press("u")
    screen.sees("What uses Policy allow-all")
    screen.press("Escape")
    screen.sees("▌ allow-all")
    for key in ("t", "T"):
        screen.burst(key, str(tmp_path), "Enter")
        screen.sees("All passed.")
        screen.press("Escape")
        screen.sees("▌ allow-all")
    screen.burst("C-d", "e", "n")
    screen.press("?")
    assert "Delete" not in screen.sees("Help", "General")
    screen.press("q")
    wait_for(screen.ends)


def test_a_person_sees_what_may_be_used(screen: Screen) -> None:
    """Out of the file that people are given."""
    screen.run((80, 24), str(ROOT / "dist" / "octelium"), "tui")
    screen.sees("My Services", "wiki.default")
    screen.press("d")
    screen.sees("isPublic: true")
    screen.goto("me")
    screen.sees("Status", "User:")
    screen.press("q")
    wait_for(screen.ends)


def test_tests_of_policies_run_out_of_the_file(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(CLOSED)
    (tmp_path / "wiki.test.yaml").write_text(CASES)
    screen.run((80, 24), str(ROOT / "dist" / "octeliumctl"), "tui", "policies")
    screen.sees("▌ ")
    screen.press("t")
    screen.sees("╭", "*.test.yaml")
    screen.burst(str(tmp_path), "Enter")
    screen.sees("All passed.")
    screen.press("q")
    wait_for(screen.ends)


@LONG
def test_an_outage_is_told_and_passes(cluster: SourceCluster, screen: Screen) -> None:
    screen.start((80, 24), "octeliumctl", "tui", "users")
    screen.sees("▌ ann")
    cluster.kill("control")
    screen.sees("away")
    assert "ann" in screen.text()
    began = time.monotonic()
    wait_for(lambda: _works(cluster))
    name = f"u{int(began)}"
    cluster.apply({"kind": "User", "metadata": {"name": name}, "spec": {"type": "HUMAN"}})
    screen.sees(name)
    screen.press("q")
    wait_for(screen.ends)


def _works(cluster: SourceCluster) -> Any:
    return cluster.run("octeliumctl", "get", "users", check=False).returncode == 0
