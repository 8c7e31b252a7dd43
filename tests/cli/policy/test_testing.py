from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from octelium.cli import exits
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.runner import resource

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn

EXAMPLES = Path(__file__).parents[3] / "examples"
POLICIES = """\
kind: Service
metadata: {name: wiki}
spec:
  mode: HTTP
  isPublic: true
  config: {upstream: {url: "http://127.0.0.1:1"}}
  authorization: {policies: [staff]}
---
kind: Policy
metadata: {name: staff}
spec:
  rules:
    - name: reads
      effect: ALLOW
      condition: {match: 'ctx.request.http.method == "GET"'}
    - name: never
      effect: ALLOW
      condition: {match: 'ctx.user.metadata.name == "zoe"'}
---
kind: User
metadata: {name: ann}
spec: {type: HUMAN}
"""
TESTS = """\
service: wiki
cases:
  - {name: reads, who: ann, request: GET /, expect: allow, rule: reads}
  - {name: writes, who: ann, request: POST /, expect: deny}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "policies.yaml").write_text(POLICIES)
    (folder / "wiki.test.yaml").write_text(TESTS)
    return folder


def test_the_examples_pass_and_cover_every_rule(offline: Runner) -> None:
    out = offline.works("policy", "test", str(EXAMPLES), "--coverage", "--min-coverage", "100")
    assert ", 0 failed\n" in out
    assert "(100 %)" in out


def test_passing(directory: Path, offline: Runner) -> None:
    for path in (directory, directory / "wiki.test.yaml"):
        assert offline.works("policy", "test", str(path)) == "2 cases: 2 passed, 0 failed\n"
    assert "passed  reads\n" in offline.works("policy", "test", str(directory), "-v")


def test_failing(directory: Path, offline: Runner) -> None:
    (directory / "more.test.yaml").write_text(TESTS.replace("expect: deny", "expect: allow"))
    result = offline.ctl("policy", "test", "cluster")
    assert (result.code, result.err) == (exits.FAILED, "")
    assert "FAILED  writes\n        cluster/more.test.yaml:4\n" in result.out
    assert "expected allow, got deny" in result.out
    assert 'ctx.request.http.method  →  "POST"' in result.out
    assert result.out.endswith("4 cases: 3 passed, 1 failed\n")


def test_coverage(directory: Path, offline: Runner) -> None:
    out = offline.works("policy", "test", "cluster", "--coverage", "--min-coverage", "50")
    assert out.splitlines()[1:] == [
        "2 rules: 1 true in some case (50 %)",
        "Tried, never true:",
        "  Policy staff, rule 2 (never)  cluster/policies.yaml:16",
    ]
    result = offline.ctl("policy", "test", "cluster", "--min-coverage", "51")
    assert result.code == exits.FAILED
    assert "50 % of the rules" in result.err
    assert "--coverage" in result.err


def test_forms_for_programs(directory: Path, tmp_path: Path, offline: Runner) -> None:
    out = offline.works("policy", "test", "cluster", "--junit", "out.xml", "-o", "json")
    form = json.loads(out)
    assert (form["passed"], form["failed"], form["coverage"]["percent"]) == (2, 0, 50)
    assert form["cases"][0]["rule"] == "Policy staff, rule 1 (reads)"
    assert ET.parse(tmp_path / "out.xml").getroot().get("tests") == "2"
    assert "passed: 2\n" in offline.works("policy", "test", "cluster", "-o", "yaml")
    result = offline.ctl("policy", "test", "cluster", "--junit", "nowhere/out.xml")
    assert result.code == exits.FAILED
    assert "cannot write nowhere/out.xml" in result.err


def test_a_choice_of_cases(directory: Path, offline: Runner) -> None:
    assert offline.works("policy", "test", "cluster", "-k", "read").startswith("1 case:")
    result = offline.ctl("policy", "test", "cluster", "-k", "nothing")
    assert (result.code, result.out) == (exits.USAGE, "")


def test_resources_from_elsewhere(directory: Path, offline: Runner) -> None:
    tests = directory / "tests"
    tests.mkdir()
    (directory / "wiki.test.yaml").rename(tests / "wiki.test.yaml")
    result = offline.ctl("policy", "test", "cluster")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert "no files of resources beside cluster/tests/wiki.test.yaml" in result.err
    for files in ("[../policies.yaml]", "[..]", "../policies.yaml"):
        (tests / "wiki.test.yaml").write_text(f"files: {files}\n{TESTS}")
        assert offline.works("policy", "test", "cluster").startswith("2 cases: 2 passed")


SECRET = "token: hidden: words"


def test_nothing_outside_of_the_directory_is_read(
    directory: Path, tmp_path: Path, offline: Runner
) -> None:
    """Whoever writes tests cannot have other files of the machine shown."""
    secret = tmp_path / "secret.yaml"
    secret.write_text(SECRET)
    for link in ("b.test.yaml", "b.yaml"):
        (directory / link).symlink_to("../secret.yaml")
        result = offline.ctl("policy", "test", "cluster")
        assert (result.code, result.out) == (exits.USAGE, "")
        assert f"cluster/{link}: is a link that leads out of cluster" in result.err
        assert "hidden" not in result.err
        (directory / link).unlink()


def test_files_of_tests_lie_in_the_directory_or_the_working_one(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: Runner
) -> None:
    (directory / "policies.yaml").rename(tmp_path / "shared.yaml")
    (directory / "wiki.test.yaml").write_text(f"files: [../shared.yaml]\n{TESTS}")
    assert offline.works("policy", "test", "cluster").startswith("2 cases: 2 passed")
    monkeypatch.chdir(directory)
    (tmp_path / "shared.yaml").write_text(SECRET)
    for path in (".", "wiki.test.yaml"):
        result = offline.ctl("policy", "test", path)
        assert (result.code, result.out) == (exits.USAGE, "")
        assert "files: ../shared.yaml is outside of ." in result.err
        assert "hidden" not in result.err


def test_without_files_there_is_what_every_cluster_begins_with(
    tmp_path: Path, offline: Runner
) -> None:
    cases = "[{name: n, who: root, service: demo-nginx, expect: allow}]"
    (tmp_path / "x.test.yaml").write_text(f"files: []\ncases: {cases}\n")
    assert offline.works("policy", "test", "x.test.yaml") == "1 case: 1 passed, 0 failed\n"


def test_unknown_names_fail_their_case(directory: Path, offline: Runner) -> None:
    (directory / "wiki.test.yaml").write_text(
        TESTS.replace("who: ann, request: GET", "who: anna, request: GET")
    )
    result = offline.ctl("policy", "test", "cluster")
    assert result.code == exits.FAILED
    assert "who: there is no User anna in the files" in result.out
    assert result.out.endswith("2 cases: 1 passed, 1 failed\n")


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        (
            "wiki.test.yaml",
            "cases: [{nme: x}]",
            "cluster/wiki.test.yaml:1 (document 1): cases[0].nme",
        ),
        ("policies.yaml", "kind: Polcy", "cluster/policies.yaml:1 (document 1): kind"),
        (
            "policies.yaml",
            POLICIES.replace("method ==", "method ="),
            "cluster/policies.yaml:15 (document 2): Policy staff: spec.rules[0].condition.match",
        ),
        ("wiki.test.yaml", f"files: [none.yaml]\n{TESTS}", "cluster/none.yaml: cannot be read"),
    ],
)
def test_files_that_make_no_sense(
    file: str, text: str, place: str, directory: Path, offline: Runner
) -> None:
    (directory / file).write_text(text)
    result = offline.ctl("policy", "test", "cluster")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert place in result.err


def test_what_is_likely_wrong_is_warned_of(directory: Path, offline: Runner) -> None:
    text = POLICIES.replace('ctx.user.metadata.name == "zoe"', 'ctx.user.spec.emial == "zoe"')
    (directory / "policies.yaml").write_text(text)
    result = offline.ctl("policy", "test", "cluster")
    assert (result.code, result.out) == (0, "2 cases: 2 passed, 0 failed\n")
    assert "Warning: cluster/policies.yaml:18 (document 2): Policy staff" in result.err
    assert "did you mean" in result.err


def test_neighbours_that_are_no_resources_are_passed_over(directory: Path, offline: Runner) -> None:
    (directory / "grace.json").write_text('{"name": "grace", "roles": ["kindly", "x"]}')
    (directory / "comment.yaml").write_text("# of a kind\n")
    result = offline.ctl("policy", "test", "cluster/wiki.test.yaml")
    assert (result.code, result.out) == (0, "2 cases: 2 passed, 0 failed\n")
    assert result.err.count("cluster/grace.json holds no resource: passed over") == 1
    (directory / "grace.json").write_text('{"kind": "Usre", "metadata": {"name": "grace"}}')
    result = offline.ctl("policy", "test", "cluster/wiki.test.yaml")
    assert (result.code, result.out) == (exits.USAGE, "")
    assert "grace.json" in result.err


@pytest.mark.parametrize(
    "text",
    ["kind: User", "---\n- kind: User", '{"kind":"User"}', "{a: 1, kind: User}", "'kind' : x"],
)
def test_what_has_a_kind_is_read(text: str, directory: Path, offline: Runner) -> None:
    (directory / "other.yaml").write_text(text)
    result = offline.ctl("policy", "test", "cluster")
    assert result.code == exits.USAGE
    assert "passed over" not in result.err


def test_nothing_to_test(tmp_path: Path, offline: Runner) -> None:
    (tmp_path / "empty").mkdir()
    for path in ("empty", "nowhere.test.yaml"):
        result = offline.ctl("policy", "test", path)
        assert (result.code, result.out) == (exits.USAGE, "")
    assert offline.ctl("policy", "test").code == exits.USAGE


def test_a_cluster_is_asked(directory: Path, cluster: StandIn, terminal: Runner) -> None:
    (directory / "policies.yaml").unlink()
    cluster.add(resource("Service", "wiki", spec={"mode": "HTTP"}))
    cluster.insight["Explain"] = ext.Explanation(outcome="DENIED", summary="Refused.")
    result = terminal.ctl("policy", "test", "cluster", "--live")
    assert (result.code, result.err) == (exits.FAILED, "")
    assert result.out.endswith("2 cases: 1 passed, 1 failed\n")
    assert [call.request.user for call in cluster.calls if call.method == "Explain"] == ["ann"] * 2


def test_a_cluster_that_cannot_say(directory: Path, cluster: StandIn, terminal: Runner) -> None:
    cluster.foreign = True
    result = terminal.ctl("policy", "test", "cluster", "--live")
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "does not explain its decisions" in result.err
