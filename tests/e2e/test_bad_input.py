"""Bad input is refused with the place, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from tests.conftest import SOAK

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Cluster

GOOD = """kind: Group
metadata: {name: bad-input-group}
spec: {}
---
"""
RULE = """kind: Policy
metadata: {name: a-policy}
spec:
  rules:
    - effect: ALLOW
      condition:
        match: """
TWICE = "kind: Group\nmetadata: {name: twice}\nspec: {}\n---\n"
USER = "kind: User\nmetadata: {name: somebody}\nspec: "
CASES = {
    "bad YAML": ("kind: User\n  metadata: [", ["file.yaml"]),
    "an unknown field": (
        USER + "{type: HUMAN, emial: a@b.example}\n",
        ["file.yaml", "emial", "email"],
    ),
    "an unknown kind": (
        "kind: Servise\nmetadata: {name: a-service}\nspec: {}\n",
        ["Servise", "Service"],
    ),
    "a missing reference": (USER + "{type: HUMAN, groups: [nobody-knows]}\n", ["nobody-knows"]),
    "a wrong type": (USER + "{type: HUMAN, groups: x}\n", ["groups"]),
    "a wrong enum": (USER + "{type: HUMEN}\n", ["HUMEN", "HUMAN"]),
    "bad CEL": (RULE + "ctx.user.", ["spec.rules[0].condition.match"]),
    "an unquoted CEL text": (RULE + '"ops" in ctx.user.spec.groups', ["file.yaml", "quote"]),
    "a duplicate": (TWICE + TWICE, ["twice"]),
    "a duplicate key": (
        "kind: User\nkind: Group\nmetadata: {name: somebody}\nspec: {}\n",
        ["kind"],
    ),
    "oversize": (RULE + "a" * 10_001, ["spec.rules[0].condition.match"]),
}


RUN = [("apply", case) for case in CASES]
RUN += [("diff", case) for case in (CASES if SOAK else ("bad YAML", "a missing reference"))]
"""Both read documents by the same code: one error of reading, and one of the Cluster."""


def stored(cluster: Cluster) -> set[str]:
    """Every version of what the cases could have changed."""
    api = cluster.api()
    return {
        item.metadata.resource_version
        for kind in ("Group", "User", "Policy", "Service")
        for item in api.core(f"List{kind}", getattr(core, f"List{kind}Options")()).items
    }


@pytest.mark.parametrize(("command", "case"), RUN)
def test_a_clear_error_names_the_place_and_nothing_changes(
    cluster: Cluster, tmp_path: Path, case: str, command: str
) -> None:
    text, named = CASES[case]
    file = tmp_path / "file.yaml"
    file.write_text(GOOD + text)
    before = stored(cluster)
    done = cluster.run("octeliumctl", command, str(file), check=False)
    assert done.returncode not in (0, 1 if command == "diff" else 0)
    for word in named:
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert stored(cluster) == before
