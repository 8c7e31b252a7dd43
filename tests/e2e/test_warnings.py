"""Warnings on their whole way: from the API server through the Cluster's own proxy to the CLI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Cluster

TEXT = """\
kind: Policy
metadata: {name: misspelt}
spec:
  rules:
    - effect: ALLOW
      condition: {match: ctx.user.spec.emial == "a@example.com"}
"""


def test_warnings_reach_whoever_writes(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(TEXT)
    told = (
        f"{file}:6 (document 1): Policy misspelt: spec.rules[0].condition.match: "
        "`ctx.user.spec` has no member 'emial' (did you mean email?)"
    )
    refused = cluster.run("octeliumctl", "apply", "--strict", str(file), check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"Error: {told}" in refused.stderr
    for words in (("apply", str(file)), ("update", "-f", str(file))):
        done = cluster.run("octeliumctl", *words)
        assert f"Warning: {told}" in done.stderr
    strict = cluster.run("octeliumctl", "update", "--strict", "-f", str(file), check=False)
    assert strict.returncode == 1
    file.write_text(TEXT.replace("emial", "email"))
    assert cluster.run("octeliumctl", "apply", "--strict", str(file)).stderr == ""
    cluster.ctl("delete", "policy", "misspelt")


def test_a_strict_call_is_refused_by_the_server(cluster: Cluster, tmp_path: Path) -> None:
    """What only the Cluster knows: where a Policy is attached."""
    file = tmp_path / "attached.yaml"
    policy = TEXT.replace("misspelt", "web-only").replace(
        'ctx.user.spec.emial == "a@example.com"', "ctx.request.dns.name == 'a.'"
    )
    service = """\
---
kind: Service
metadata: {name: web-only}
spec:
  mode: HTTP
  config: {upstream: {url: 'http://127.0.0.1:1'}}
  authorization: {policies: [web-only]}
"""
    cluster.ctl("apply", "-", text=policy + service)
    file.write_text(policy)
    warned = cluster.run("octeliumctl", "update", "-f", str(file))
    assert "can never be true where it is attached (mode HTTP)" in warned.stderr
    refused = cluster.run("octeliumctl", "update", "--strict", "-f", str(file), check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "can never be true where it is attached (mode HTTP)" in refused.stderr
    cluster.ctl("delete", "service", "web-only")
    cluster.ctl("delete", "policy", "web-only")
