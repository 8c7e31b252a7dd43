from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cli import exits

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner


def evaluated(offline: Runner, *arguments: str, stdin: str = "") -> str:
    return offline.works("policy", "eval", *arguments, stdin=stdin).rstrip("\n")


def test_the_value_is_json(offline: Runner) -> None:
    assert json.loads(evaluated(offline, "[1, 2.5, 'a', {'k': b'x'}]")) == [
        1,
        2.5,
        "a",
        {"k": "eA=="},
    ]
    assert evaluated(offline, "1.0") == "1"


def test_other_forms(offline: Runner) -> None:
    assert evaluated(offline, "[1, 1u, 1.0]", "-o", "cel") == "[1, 1u, 1.0]"
    assert evaluated(offline, "{'a': [1]}", "-o", "yaml") == "a:\n- 1"
    assert evaluated(offline, "'a'", "-o", "yaml") == "a"
    assert evaluated(offline, "'\\u202e\\u001b[31m'", "-o", "cel") == '"\\u202e\\u001b[31m"'


def test_context_attributes_and_the_time(offline: Runner, tmp_path: Path) -> None:
    (tmp_path / "ctx.yaml").write_text("user: {spec: {groups: [ops], level: 3}}\n")
    (tmp_path / "attrs.json").write_text('{"least": 2}')
    text = "'ops' in ctx.user.spec.groups && ctx.user.spec.level > attrs.least"
    assert evaluated(offline, text, "--ctx", "ctx.yaml", "--attrs", "attrs.json") == "true"
    assert evaluated(offline, "type(ctx.n)", "--ctx", "-", stdin='{"n": 1}') == '"double"'
    moment = ("--now", "2026-01-31T12:00:00Z")
    assert evaluated(offline, "now()", *moment) == '"2026-01-31T12:00:00Z"'


def test_what_has_no_value(offline: Runner) -> None:
    for text in ("1 / 0", "1 +", "nothing", "ctx.service.spec.port + 1 == 2"):
        stdin = '{"service": {"spec": {"port": 80}}}'
        result = offline.ctl("policy", "eval", text, "--ctx", "-", stdin=stdin)
        assert (result.code, result.out) == (exits.FAILED, "")
        assert result.err.startswith("Error: ")


def test_missing_data(offline: Runner) -> None:
    result = offline.ctl("policy", "eval", "ctx.user.spec.emial == 'a'")
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "--condition" in result.err
    assert evaluated(offline, "--condition", "ctx.user.spec.emial == 'a'") == "false"
    assert evaluated(offline, "--condition", "attrs.x == 1") == "false"


def test_a_condition_is_a_bool(offline: Runner) -> None:
    result = offline.ctl("policy", "eval", "--condition", "1")
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "true or false" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("1", "2"),
        ("1", "--ctx", "-", "--attrs", "-"),
        ("--cases", "x", "--ctx", "y"),
        ("--cases", "x", "--condition"),
    ],
)
def test_command_lines_without_a_meaning(arguments: tuple[str, ...], offline: Runner) -> None:
    result = offline.ctl("policy", "eval", *arguments)
    assert (result.code, result.out) == (exits.USAGE, "")


def case(name: str, expr: str, value: Any) -> dict[str, Any]:
    return {"section": "s", "name": name, "expr": expr, "value": value}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    good = [case("one", "1", {"int": "1"}), case("two", "[1].all(i, v, true)", {"bool": True})]
    bad = [case("three", "'\\u001b'", {"int": "1"})]
    for name, tests in (("good.json", good), ("bad.json", bad)):
        (tmp_path / name).write_text(json.dumps({"tests": tests}))
    return "good.json", "bad.json"


def test_cases_as_json(offline: Runner, files: tuple[str, str]) -> None:
    result = offline.ctl("policy", "eval", "--cases", files[0], "-o", "json")
    assert (result.code, result.err) == (0, "")
    [first, second] = json.loads(result.out)["results"]
    assert first == {"section": "s", "name": "one", "ok": True, "got": "1"}
    assert (second["ok"], second["excluded"] in second["got"]) == (False, True)


def test_cases_that_fail(offline: Runner, files: tuple[str, str]) -> None:
    # As a shell expands `--cases *.json`.
    result = offline.ctl("policy", "eval", "--cases", *files)
    assert result.code == exits.FAILED
    assert "FAILED  s / three\n" in result.out
    assert result.out.endswith("3 cases: 1 passed, 1 failed, 1 not offered\n")
    assert "\x1b" not in result.out


def test_files_of_cases_that_cannot_be_read(offline: Runner, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"tests": [{}]}')
    result = offline.ctl("policy", "eval", "--cases", "x.json")
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "x.json: tests[0].section: a text is missing" in result.err
    assert offline.ctl("policy", "eval", "--cases", "none.json").code == exits.FAILED
    assert offline.ctl("policy", "eval", "--cases", "x.json", "-o", "cel").code == exits.USAGE
