from __future__ import annotations

import json
from typing import TYPE_CHECKING

from octelium.cli.doctor_report import show
from octelium.cli.terminal import Terminal
from octelium.client.doctor.checks import Examination

if TYPE_CHECKING:
    import pytest


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    found = Examination()
    found.ok("dns", "it is found")
    found.skip("clock", "it is not told")
    assert show(Terminal({}), found, "text") == 0
    assert capsys.readouterr().out == (
        "ok       dns    it is found\n"
        "skipped  clock  it is not told\n"
        "\n"
        "Not checked: clock.\n"
        "Everything that was checked works.\n"
    )
    found.fail("udp", "nothing\x1b[2J comes", "let UDP pass")
    assert show(Terminal({}), found, "text") == 1
    out = capsys.readouterr().out
    assert "fail     udp    nothing\\x1b[2J comes\n                let UDP pass\n" in out
    assert out.endswith(
        "The first broken link is udp: nothing\\x1b[2J comes. To do: let UDP pass.\n"
    )


def test_a_reason_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = Examination()
    found.skip_all(("connection", "routes", "udp"), "not connected", "octelium connect")
    found.skip("service", "none was named", "octelium doctor SERVICE")
    show(Terminal({}), found, "text")
    out = capsys.readouterr().out
    assert out.count("not connected") == out.count("octelium connect") == 1
    assert "none was named" in out
    assert "Not checked: connection, routes, udp, service.\n" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = Examination()
    found.warn("clock", "61 s ahead", "set it")
    assert show(Terminal({}), found, "json") == 0
    assert json.loads(capsys.readouterr().out) == found.as_json()
