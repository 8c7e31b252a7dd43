from __future__ import annotations

import json
from typing import TYPE_CHECKING

from octelium.client.tunnel import control

if TYPE_CHECKING:
    import pytest

    from tests.cli.runner import Runner

EXPECTED = {
    "domain": "lab.test",
    "user": {"metadata": {"name": "root"}, "spec": {"type": "WORKLOAD"}},
    "session": {"metadata": {"name": "root-000001"}},
}


def test_who_one_is(terminal: Runner) -> None:
    result = terminal("octelium", "status", "-o", "json")
    assert json.loads(result.out) == EXPECTED
    yaml = terminal("octelium", "status").out
    assert "domain: lab.test\n" in yaml
    assert "    type: WORKLOAD\n" in yaml


def test_a_connection_of_this_host(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ask", lambda *_: {"state": "connected", "pid": 7})
    told = json.loads(terminal("octelium", "status", "-o", "json").out)
    assert told == {**EXPECTED, "connection": {"state": "connected", "pid": 7}}
    assert "connection:\n  state: connected\n" in terminal("octelium", "status").out


def test_a_table_makes_no_sense(terminal: Runner) -> None:
    result = terminal("octelium", "status", "-o", "table")
    assert result.code == 2
    assert "invalid output format 'table'" in result.err
