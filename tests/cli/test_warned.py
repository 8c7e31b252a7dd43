"""What people are told about expressions that are likely wrong, by the project's own API server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from octelium.cli.warned import placed, text_of
from octelium.schema.documents import parse_documents
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner

TEXT = """\
kind: Group
metadata: {name: ops}
spec: {}
---
kind: Policy
metadata: {name: staff}
spec:
  rules:
    - effect: ALLOW
      condition: {match: '"ops" in ctx.user.spec.groups'}
    - effect: DENY
      condition:
        any:
          of:
            - {matchAny: false}
            - match: ctx.user.spec.emial == "a@example.com"
"""
RIGHT = TEXT.replace("emial", "email")
PROBLEM = (
    "stdin:16 (document 2): Policy staff: spec.rules[1].condition.any.of[1].match: "
    "`ctx.user.spec` has no member 'emial' (did you mean email?)\n"
)
SSH = """\
kind: Policy
metadata: {name: web}
spec:
  rules:
    - {effect: ALLOW, condition: {match: ctx.request.http.path == "/"}}
---
kind: Service
metadata: {name: shell}
spec:
  mode: SSH
  config: {upstream: {url: 'ssh://10.0.0.1'}}
  authorization: {policies: [web]}
"""


def test_an_apply_warns_and_a_strict_one_refuses(real: Runner) -> None:
    refused = real.ctl("apply", "--strict", "-", stdin=TEXT)
    assert (refused.code, refused.out, refused.err) == (1, "", f"Error: {PROBLEM}")
    assert real.ctl("get", "policy", "staff").code != 0

    planned = real.ctl("apply", "--dry-run", "-", stdin=TEXT)
    assert (planned.code, planned.err) == (0, f"Warning: {PROBLEM}")

    applied = real.ctl("apply", "-o", "json", "-", stdin=TEXT)
    assert (applied.code, applied.err) == (0, f"Warning: {PROBLEM}")
    assert [item["action"] for item in json.loads(applied.out)] == ["CREATED", "CREATED"]

    again = real.ctl("apply", "-", stdin=TEXT)
    assert (again.code, again.err) == (0, f"Warning: {PROBLEM}")
    assert again.out == "Nothing changed: 2 resources as the files say.\n"

    assert real.works("apply", "--strict", "-", stdin=RIGHT).endswith("1 updated, 1 unchanged\n")


def test_a_diff_warns_and_a_strict_one_refuses(real: Runner) -> None:
    shown = real.ctl("diff", "-", stdin=TEXT)
    assert (shown.code, shown.err) == (1, f"Warning: {PROBLEM}")
    assert "+++ files/policy/staff" in shown.out
    refused = real.ctl("diff", "--strict", "-", stdin=TEXT)
    assert (refused.code, refused.out, refused.err) == (3, "", f"Error: {PROBLEM}")


def test_single_calls_warn(real: Runner) -> None:
    refused = real.ctl("create", "--strict", "-f", "-", stdin=TEXT)
    assert (refused.code, refused.out, refused.err) == (1, "", f"Error: {PROBLEM}")
    created = real.ctl("create", "-f", "-", stdin=TEXT)
    assert (created.code, created.err) == (0, f"Warning: {PROBLEM}")
    assert created.out == "policy/staff created\ngroup/ops created\n"
    updated = real.ctl("update", "-f", "-", stdin=TEXT)
    assert (updated.code, updated.err) == (0, f"Warning: {PROBLEM}")
    refused = real.ctl("update", "--strict", "-f", "-", stdin=TEXT)
    assert (refused.code, refused.out, refused.err) == (1, "", f"Error: {PROBLEM}")
    switched = real.ctl("update", "policy", "staff", "--disable")
    assert (switched.code, switched.out) == (0, "policy/staff updated\n")
    place = PROBLEM.removeprefix("stdin:16 (document 2): ")
    assert switched.err == f"Warning: {place}"
    assert real.works("update", "--strict", "-f", "-", stdin=RIGHT).count("updated") == 2


def test_what_only_the_cluster_knows(real: Runner) -> None:
    """A Policy is attached to what is stored; a strict single call is refused by the server."""
    applied = real.ctl("apply", "-", stdin=SSH)
    assert applied.code == 0
    warning, unserved = applied.err.splitlines()
    assert "SSH" in unserved
    assert warning.startswith(
        "Warning: stdin:5 (document 1): Policy web: spec.rules[0].condition: "
    )
    assert "can never be true where it is attached (mode SSH)" in warning
    assert "such requests have ctx.request.ssh" in warning

    policy = SSH.partition("---")[0].replace('"/"', '"/a"')
    refused = real.ctl("update", "--strict", "-f", "-", stdin=policy)
    assert (refused.code, refused.out) == (1, "")
    assert "can never be true" in refused.err
    assert '"/a"' not in real.works("get", "policy", "web", "-o", "yaml")
    updated = real.ctl("update", "-f", "-", stdin=policy)
    assert (updated.code, updated.out) == (0, "policy/web updated\n")
    assert updated.err.startswith("Warning: stdin:5 (document 1): Policy web: ")


def test_an_editor_warns(real: Runner, tmp_path: Path) -> None:
    real.works("apply", "-", stdin=RIGHT)
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\nsed -i -e "$SCRIPT" "$1"\n')
    script.chmod(0o700)
    real.environ = {**real.environ, "EDITOR": str(script)}
    real.monkeypatch.setenv("SCRIPT", "s/spec.email/spec.emial/")
    refused = real.ctl("edit", "--strict", "policy", "staff")
    assert refused.code == 1
    assert "did you mean email?" in refused.err
    assert "emial" not in real.works("get", "policy", "staff", "-o", "yaml")
    edited = real.ctl("edit", "policy", "staff")
    assert (edited.code, edited.out) == (0, "policy/staff updated\n")
    place = PROBLEM.removeprefix("stdin:16 (document 2): ")
    assert edited.err == f"Warning: {place}"


def test_how_warnings_read() -> None:
    [document] = parse_documents("kind: Group\nmetadata:\n  name: ops\nspec: {}\n", "a.yaml")
    warning = ext.ApplyError(index=0, kind="Group", name="ops", path="spec.x", problem="is odd")
    assert text_of(warning) == "Group ops: spec.x: is odd"
    assert text_of(warning, document) == "a.yaml:4 (document 1): Group ops: spec.x: is odd"
    assert text_of(ext.ApplyError(problem="there are 3 more")) == "there are 3 more"
    whole = ext.ApplyError(kind="Group", name="ops", problem="is odd", remedy="even it out")
    assert str(placed(whole, document)) == (
        "a.yaml:1 (document 1): Group ops: is odd (even it out)"
    )
