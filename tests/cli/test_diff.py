from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from octelium.cli import exits
from tests.cli.runner import Runner, resource

if TYPE_CHECKING:
    from tests.client.standin import StandIn

TEXT = """\
kind: User
metadata: {name: ann, description: "who \\e[2J"}
spec: {type: HUMAN, email: new@lab.test}
---
kind: Secret
metadata: {name: key}
spec: {}
data: {value: s3cret}
---
kind: Service
metadata: {name: wiki}
spec: {mode: HTTP, port: 80}
"""

EXPECTED = """\
--- cluster/user/ann
+++ files/user/ann
@@ -2,6 +2,7 @@
 kind: User
 metadata:
   name: ann
+  description: "who \\e[2J"
 spec:
-  email: old@lab.test
+  email: new@lab.test
   type: HUMAN
--- /dev/null
+++ files/service/wiki.default
@@ -0,0 +1,7 @@
+apiVersion: core/v1
+kind: Service
+metadata:
+  name: wiki.default
+spec:
+  mode: HTTP
+  port: 80
"""


@pytest.fixture
def changed(cluster: StandIn, terminal: Runner) -> Runner:
    cluster.add(resource("User", "ann", spec={"type": "HUMAN", "email": "old@lab.test"}))
    return terminal


def test_what_apply_would_change(cluster: StandIn, changed: Runner) -> None:
    before = str(cluster.objects)
    result = changed.ctl("diff", "-", "--exclude", "Secret", stdin=TEXT)
    assert result.code == exits.DIFFERENT
    assert result.out == EXPECTED
    assert str(cluster.objects) == before


def test_nothing_to_change(changed: Runner) -> None:
    changed.ctl("apply", "-", stdin=TEXT)
    result = changed.ctl("diff", "-", stdin=TEXT)
    assert (result.code, result.out) == (exits.OK, "")


def test_data_is_not_shown(cluster: StandIn, changed: Runner) -> None:
    cluster.add(resource("Secret", "key", data={"value": "0ld"}))
    result = changed.ctl("diff", "-", "--include-secret", "--include", "Secret", stdin=TEXT)
    assert result.out == "@ secret/key: data differs, not shown\n"
    assert "s3cret" not in result.out + result.err


def test_what_pruning_would_delete(changed: Runner) -> None:
    result = changed.ctl("diff", "--prune", "--allow-empty", "--include", "User", "-", stdin="")
    assert "--- cluster/user/ann\n+++ /dev/null\n" in result.out
    assert "-  name: ann\n" in result.out


def test_pruning_by_nothing_is_trouble(changed: Runner) -> None:
    result = changed.ctl("diff", "--prune", "-", stdin="# nothing\n")
    assert (result.code, result.out) == (exits.UNKNOWN, "")
    assert "--allow-empty" in result.err


def test_trouble_is_told_from_a_difference(offline: Runner, changed: Runner) -> None:
    result = changed.ctl("diff", "-", stdin="kind: Nothing")
    assert (result.code, result.out) == (exits.UNKNOWN, "")
    assert "stdin:1" in result.err
    changed.environ["OCTELIUM_API_ENDPOINT"] = "127.0.0.1:1"
    assert changed.ctl("diff", "-", stdin=TEXT).code == exits.UNKNOWN
    assert changed.ctl("diff").code == exits.USAGE


def test_colour_for_people(changed: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Tty()
    monkeypatch.setattr(sys, "stdout", out)
    changed.ctl("diff", "-", "--context", "0", stdin=TEXT)
    assert "\x1b[32m+  email: new@lab.test\x1b[0m" in out.getvalue()
    assert "\x1b[31m-  email: old@lab.test\x1b[0m" in out.getvalue()
