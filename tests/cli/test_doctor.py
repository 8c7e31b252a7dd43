from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from octelium.client.doctor import doctor as module
from octelium.client.doctor.checks import Examination
from octelium.client.tunnel import control
from tests.client.doctor.door import have_patience

if TYPE_CHECKING:
    import pytest

    from tests.cli.runner import Runner

CALLS: list[tuple[str, Any]] = []


class Doctor:
    """Finds what a test says."""

    found = Examination()

    def __init__(self, client: Any, ask: Any, name: str) -> None:
        CALLS.append((name, ask()))

    def examine(self) -> Examination:
        return self.found


def test_a_host_is_examined(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Doctor", Doctor)
    monkeypatch.setattr(control, "ask", lambda *_: {"state": "connected"})
    CALLS.clear()
    result = terminal("octelium", "doctor", "wiki", "-o", "json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["verdict"] == "Everything that was checked works."
    assert CALLS == [("wiki", {"state": "connected"})]
    terminal("octelium", "doctor", "--homedir", "mem")
    assert CALLS[1:] == [("", None)]
    found = Examination()
    found.fail("udp", "the gateway is silent", "let UDP pass")
    monkeypatch.setattr(Doctor, "found", found)
    result = terminal("octelium", "doctor")
    assert result.code == 1
    assert "The first broken link is udp" in result.out


def test_the_help_has_examples(terminal: Runner) -> None:
    assert "octelium doctor wiki -o json" in terminal("octelium", "doctor", "--help").out


def test_nothing_to_examine(offline: Runner) -> None:
    result = offline("octelium", "doctor")
    assert result.code == 1
    assert "domain is not set" in result.err


def test_a_real_one(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in has no front door: its clock is not told, and all else is."""
    have_patience(monkeypatch)
    result = terminal("octelium", "doctor", "-o", "json")
    told = json.loads(result.out)
    outcomes = {each["name"]: each["outcome"] for each in told["checks"]}
    assert outcomes["login"] == outcomes["front door"] == outcomes["certificate"] == "ok"
    assert outcomes["clock"] == "skipped"
    assert outcomes["connection"] == outcomes["udp"] == "skipped"
