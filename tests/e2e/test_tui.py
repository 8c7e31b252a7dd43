"""The terminal interface in a real terminal (tmux) on a real Cluster, small and large."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import wait_for
from tests.tui.test_inert import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@dataclass
class Screen:
    """A tmux server of the test's own, with one window."""

    cluster: SourceCluster
    socket: Path

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        environ = {**self.cluster.base_environment(), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, size: tuple[int, int], *words: str, editor: str = "true") -> None:
        columns, lines = map(str, size)
        program = [sys.executable, "-m", "octelium", *words]
        self.tmux(
            "new-session", "-d", "-x", columns, "-y", lines, "-e", f"EDITOR={editor}", *program
        )

    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def sees(self, *words: str, seconds: float = 20) -> str:
        """Wait for words; the screen."""
        try:
            wait_for(lambda: all(word in self.text() for word in words), seconds)
        except TimeoutError:
            raise AssertionError(f"{words} are not on the screen:\n{self.text()}") from None
        return self.text()

    def goto(self, word: str) -> None:
        self.press(":")
        self.sees("╭")
        self.type(word)
        self.press("Enter")

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


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=["80x24", "200x60"])
def test_a_walk_of_an_administrator(
    cluster: SourceCluster, screen: Screen, size: tuple[int, int], tmp_path: Path
) -> None:
    name = f"team{size[0]}"
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\nsed -i "s/NAME/{name}/" "$1"\n')
    editor.chmod(0o755)
    screen.start(size, "octeliumctl", "tui", editor=str(editor))
    screen.sees("Overview", "Requests", "Health", "ok ")

    screen.goto("svc")
    screen.sees("Services", "wiki.default", "WEB")
    # What somebody else changes comes by itself.
    cluster.apply({"kind": "Group", "metadata": {"name": f"others{size[0]}"}, "spec": {}})
    screen.goto("grp")
    screen.sees(f"others{size[0]}")
    other = f"later{size[0]}"
    cluster.apply({"kind": "Group", "metadata": {"name": other}, "spec": {}})
    screen.sees(other)

    screen.press("n")
    screen.sees(f"Group {name} / new, not applied yet", "+kind: Group")
    screen.press("y")
    screen.sees(f"Group {name} created", f"{name}")
    assert f'"{name}"' in cluster.ctl("get", "group", name, "-o", "json")
    screen.press("/")
    screen.type(name)
    screen.press("Enter")
    screen.sees(f"▌ {name}", f"/{name}")
    screen.press("C-d")
    screen.sees(f"Delete Group {name}?")
    screen.press("y")
    screen.sees(f"Group {name} deleted")
    assert "NotFound" in cluster.run("octeliumctl", "get", "group", name, check=False).stderr

    with cluster.http() as client:
        client.get(cluster.url("wiki", HOSTILE), headers=[(b"user-agent", "a\u202eb".encode())])
    screen.goto("access")
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

    screen.goto("user")
    screen.sees("▌ ann")
    screen.press("i")
    screen.sees("Make a link by which ann signs in?")
    screen.press("y")
    screen.sees("Invitation / ann", "For ann")
    screen.press("Escape")
    screen.sees("▌ ann")
    screen.press("?")
    screen.sees("Help", "General")
    screen.press("q")
    wait_for(screen.ends, 10)


def test_a_person_sees_what_may_be_used(screen: Screen) -> None:
    screen.start((80, 24), "octelium", "tui")
    screen.sees("My Services", "wiki.default")
    screen.press("d")
    screen.sees("isPublic: true")
    screen.goto("me")
    screen.sees("Status", "User:")
    screen.press("q")
    wait_for(screen.ends, 10)


def test_an_outage_is_told_and_passes(cluster: SourceCluster, screen: Screen) -> None:
    screen.start((80, 24), "octeliumctl", "tui", "users")
    screen.sees("▌ ann")
    cluster.kill("control")
    screen.sees("away", seconds=30)
    assert "ann" in screen.text()
    began = time.monotonic()
    wait_for(lambda: _works(cluster), 60)
    name = f"u{int(began)}"
    cluster.apply({"kind": "User", "metadata": {"name": name}, "spec": {"type": "HUMAN"}})
    screen.sees(name, seconds=60)
    screen.press("q")
    wait_for(screen.ends, 10)


def _works(cluster: SourceCluster) -> Any:
    return cluster.run("octeliumctl", "get", "users", check=False).returncode == 0
