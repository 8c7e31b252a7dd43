from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def test_a_table_makes_no_sense(terminal: Runner) -> None:
    result = terminal("octelium", "status", "-o", "table")
    assert result.code == 2
    assert "invalid output format 'table'" in result.err
