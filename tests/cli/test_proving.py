from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from octelium.cli.invocation import Invocation
from octelium.cli.proving import chosen_proof
from octelium.client.assertions import Assertion
from octelium.client.browser_login import BrowserLogin
from octelium.client.device_login import Code, DeviceLogin
from octelium.client.errors import SettingsError
from octelium.client.proofs import AuthenticationToken
from octelium.client.storage import MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.client.tokens import Proof


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A person is at a terminal; not a fixture, since pytest replaces the streams after those."""
    screen = Screen()
    monkeypatch.setattr(sys, "stdin", Screen())
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.fixture(name="desktop")
def desktop_fixture(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "xdg-open"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return {"DISPLAY": ":0", "PATH": str(tmp_path)}


def chosen(
    environ: dict[str, str],
    auth_token: str | None = None,
    assertion: str | None = None,
    *,
    web: bool = False,
    device: bool = False,
) -> Proof | None:
    bundle = {"OCTELIUM_DOMAIN": "lab.test"}
    invocation = Invocation({**bundle, **environ}, storage=MemoryStorage())
    return chosen_proof(invocation, auth_token, assertion, web=web, device=device)


def test_options_go_before_the_environment() -> None:
    environ = {"OCTELIUM_AUTH_TOKEN": "E", "A": "a.b.c"}
    assert chosen(environ) == AuthenticationToken("E")
    assert chosen(environ, "T") == AuthenticationToken("T")
    assert isinstance(chosen(environ, None, "jwt:env=A"), Assertion)
    assert isinstance(chosen(environ, web=True), BrowserLogin)
    assert isinstance(chosen(environ, device=True), DeviceLogin)


def test_a_token_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("T\n"))
    assert chosen({}, "-") == AuthenticationToken("T")
    with pytest.raises(SettingsError, match="no token on stdin"):
        chosen({"OCTELIUM_AUTH_TOKEN": "E"}, "-")


def test_nobody_is_asked_where_nobody_is(
    desktop: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = at_terminal(monkeypatch)
    assert chosen(desktop) is not None
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert chosen(desktop) is None
    monkeypatch.setattr(sys, "stdin", screen)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert chosen(desktop) is None
    monkeypatch.setattr(sys, "stderr", None)
    assert chosen(desktop) is None


def test_a_person_is_asked_where_the_browser_is(
    desktop: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = at_terminal(monkeypatch)
    assert isinstance(chosen(desktop), BrowserLogin)
    assert isinstance(chosen({}), DeviceLogin)
    assert isinstance(chosen(desktop, device=True), DeviceLogin)
    assert isinstance(chosen({}, web=True), BrowserLogin)
    assert screen.getvalue() == ""


def test_the_address_and_the_code_are_shown(
    desktop: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = at_terminal(monkeypatch)
    for environ, how in (({}, "To sign in, open this"), (desktop, "in the browser that opens")):
        proof = chosen(environ, web=True)
        assert isinstance(proof, BrowserLogin)
        proof._show("https://lab.test/login?octelium_req=x")
        assert how in screen.getvalue()
        assert "\n  https://lab.test/login?octelium_req=x\n" in screen.getvalue()
    device = chosen({}, device=True)
    assert isinstance(device, DeviceLogin)
    device._show(Code("BCDF-GHJK", "https://lab.test/device", "https://lab.test/\x1b[2J", 600))
    assert "\n  BCDF-GHJK\n" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()
