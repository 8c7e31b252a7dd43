from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.linting import lint
from octelium.schema.documents import parse_documents
from tests.cli.test_warned import PROBLEM, RIGHT, SSH, TEXT

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_what_files_tell() -> None:
    [warning] = lint(parse_documents(TEXT, "a.yaml"))
    assert (warning.index, warning.kind, warning.name) == (1, "Policy", "staff")
    assert warning.path == "spec.rules[1].condition.any.of[1].match"
    assert warning.remedy == "did you mean email?"
    assert lint(parse_documents(RIGHT, "a.yaml")) == []


def test_what_files_cannot_tell() -> None:
    """The Cluster may attach the Policy to Services of other modes too."""
    assert lint(parse_documents(SSH, "a.yaml")) == []
    inline = SSH.partition("---\n")[2].replace(
        "{policies: [web]}",
        "{inlinePolicies: [{spec: {rules: [{effect: ALLOW, condition: "
        "{match: 'ctx.request.http.path == \"/\"'}}]}}]}",
    )
    [warning] = lint(parse_documents(inline, "a.yaml"))
    assert warning.name == "shell.default"
    assert "can never be true" in warning.problem


def test_clusters_of_other_implementations(cluster: StandIn, terminal: Runner) -> None:
    cluster.foreign = True
    refused = terminal.ctl("apply", "--strict", "-", stdin=TEXT)
    assert (refused.code, refused.out, refused.err) == (1, "", f"Error: {PROBLEM}")
    assert cluster.objects == {}
    planned = terminal.ctl("diff", "-", stdin=TEXT)
    assert (planned.code, planned.err) == (1, f"Warning: {PROBLEM}")
    applied = terminal.ctl("apply", "-", stdin=TEXT)
    assert applied.code == 0
    assert applied.err.startswith(f"Warning: {PROBLEM}")
    assert len(cluster.objects) == 2
