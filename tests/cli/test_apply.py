from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.runner import Runner, resource
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.standin import StandIn

TEXT = """\
kind: Group
metadata: {name: ops}
spec: {}
---
kind: User
metadata: {name: ann}
spec: {type: HUMAN, groups: [ops]}
---
kind: Secret
metadata: {name: key}
spec: {}
data: {value: s3cret}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "cluster.yaml"
    path.write_text(TEXT)
    return str(path)


def test_applying_and_applying_again(cluster: StandIn, terminal: Runner, file: str) -> None:
    first = terminal.ctl("apply", "--include-secret", file)
    assert (first.code, first.err) == (0, "")
    lines = ["Group: ops Created", "Secret: key Created", "User: ann Created"]
    assert sorted(first.out.splitlines()[:-1]) == lines
    assert first.out.endswith("\n3 created, 0 unchanged\n")
    before = dict(cluster.objects)
    again = terminal.works("apply", file, "--include-secret")
    assert again == "Nothing changed: 3 resources as the files say.\n"
    assert cluster.objects == before
    assert cluster.methods().count("Apply") == 2


def test_updates_say_which_fields(cluster: StandIn, terminal: Runner, file: str) -> None:
    terminal.ctl("apply", file)
    text = TEXT.replace("type: HUMAN", "type: HUMAN, email: ann@lab.test")
    result = terminal.ctl("apply", "-", stdin=text)
    assert result.out == "User: ann Updated  spec.email\n1 updated, 1 unchanged\n"
    assert cluster.objects["User", "ann"].spec.email == "ann@lab.test"


def test_secrets_are_left_out_and_that_is_said(
    cluster: StandIn, terminal: Runner, file: str
) -> None:
    result = terminal.ctl("apply", "-f", file)
    assert result.code == 0
    assert result.err == "Left out: 1 Secret (--include-secret applies them).\n"
    assert ("Secret", "key") not in cluster.objects
    result = terminal.ctl("apply", file, "--include", "Group,Policy")
    assert "Left out: 1 User.\n" in result.err


def test_a_dry_run_writes_nothing(cluster: StandIn, terminal: Runner, file: str) -> None:
    out = terminal.ctl("apply", "--dry-run", file).out
    assert "User: ann Created (dry run)\n" in out
    assert out.endswith("2 created, 0 unchanged (dry run)\n")
    assert cluster.objects == {}
    terminal.ctl("apply", file)
    assert terminal.ctl("apply", "--dry-run", file).out == (
        "Nothing would change: 2 resources as the files say.\n"
    )


def test_pruning(cluster: StandIn, terminal: Runner, file: str) -> None:
    cluster.add(resource("User", "gone"))
    cluster.add(resource("Secret", "other"))
    assert "gone" not in terminal.ctl("apply", file).out
    out = terminal.ctl("apply", file, "--prune").out
    assert out == "User: gone Deleted\n1 deleted, 2 unchanged\n"
    assert ("Secret", "other") in cluster.objects
    out = terminal.ctl("apply", file, "--prune", "--include-secret").out
    assert "Secret: other Deleted\n" in out


def test_what_pruning_leaves_alone_is_told_on_one_line(
    cluster: StandIn, terminal: Runner, file: str
) -> None:
    cluster.spared = [
        ext.Spared(kind="User", name="root", own=True),
        ext.Spared(kind="Policy", name="allow-all"),
        ext.Spared(kind="Policy", name="deny-all"),
        ext.Spared(kind="Credential", name="root-init"),
    ]
    told = (
        "Not pruned: User root (your own); Policy allow-all, deny-all, Credential root-init "
        "(the Cluster began with it; --prune-builtin deletes it).\n"
    )
    pruning = (file, "--include-secret", "--prune")
    assert terminal.ctl("apply", *pruning[:-1], "--dry-run").err == ""
    for more in (("--dry-run",), ("-o", "json"), ()):
        result = terminal.ctl("apply", *pruning, *more)
        assert (result.code, result.err) == (0, told)
    assert terminal.ctl("diff", *pruning).err == told
    result = terminal.ctl("apply", *pruning, "--prune-builtin")
    assert (result.code, result.err) == (0, "Not pruned: User root (your own).\n")


def test_pruning_what_the_cluster_made_needs_pruning(
    cluster: StandIn, terminal: Runner, file: str
) -> None:
    for command in ("apply", "diff"):
        result = terminal.ctl(command, file, "--prune-builtin")
        assert result.code != 0
        assert "--prune-builtin says what --prune deletes: give both." in result.err
    assert cluster.calls == []


@pytest.mark.parametrize("content", ["", "# kind: User\n", "---\n---\n", "SECRET"])
def test_pruning_by_nothing_is_refused_unless_said(
    content: str, cluster: StandIn, terminal: Runner, tmp_path: Path
) -> None:
    cluster.add(resource("User", "gone"))
    secret = "kind: Secret\nmetadata: {name: key}\nspec: {}\ndata: {value: x}\n"
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "x.yaml").write_text(content.replace("SECRET", secret))
    for more in ([], ["--dry-run"], ["--preview-access"]):
        result = terminal.ctl("apply", "cluster", "--prune", *more)
        assert (result.code, result.out) == (1, "")
        assert "there is nothing to apply in cluster, so that --prune would delete" in result.err
        assert "add --allow-empty" in result.err
    assert cluster.calls == []
    result = terminal.ctl("apply", "cluster")
    assert result.code == 0
    assert "Warning: there is nothing to apply in cluster\n" in result.err
    assert terminal.ctl("apply", "cluster", "--prune", "--allow-empty").code == 0
    assert ("User", "gone") not in cluster.objects


def test_pruning_by_an_empty_folder_or_a_typing_error(
    cluster: StandIn, terminal: Runner, tmp_path: Path
) -> None:
    cluster.add(resource("User", "gone"))
    (tmp_path / "empty").mkdir()
    result = terminal.ctl("apply", "--prune", "empty", "typo", "--allow-empty")
    assert (result.code, cluster.calls) == (1, [])
    assert result.err == "Error: typo: cannot be read: No such file or directory\n"
    assert "empty: there are no files" in terminal.ctl("apply", "--prune", "empty").err
    assert terminal.ctl("apply", "--prune", "--allow-empty", "empty").code == 0
    assert ("User", "gone") not in cluster.objects


def test_for_scripts(terminal: Runner, file: str) -> None:
    made = json.loads(terminal.ctl("apply", file, "-o", "json").out)
    assert made[1] == {"kind": "User", "name": "ann", "action": "CREATED"}
    assert terminal.ctl("apply", file, "-o", "name").out == ""
    text = TEXT.replace("groups: [ops]", "isDisabled: true")
    changed = terminal.ctl("apply", "-", "-o", "yaml", stdin=text).out
    assert "- kind: User\n  name: ann\n  action: UPDATED\n  changed:\n  - spec.groups\n" in changed
    assert terminal.ctl("apply", file, "-o", "name").out == "user/ann\n"


def test_all_problems_with_their_places_and_nothing_is_sent(
    cluster: StandIn, terminal: Runner, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text("kind: User\nmetadata: {name: ann}\nspec: {emial: x}\n")
    (tmp_path / "b.yaml").write_text("\nkind: Usr\nmetadata: {name: ann}\n")
    result = terminal.ctl("apply", str(tmp_path))
    assert (result.code, result.out) == (1, "")
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"Error: {tmp_path}/a.yaml:3 (document 1): spec.emial: ")
    assert "email" in lines[0]
    assert lines[1].startswith(f"Error: {tmp_path}/b.yaml:2 (document 1): kind: ")
    assert cluster.calls == []


def test_what_the_cluster_refuses_changes_nothing(
    cluster: StandIn, terminal: Runner, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(TEXT.replace("groups: [ops]", "groups: [opps]"))
    result = terminal.ctl("apply", str(path))
    assert (result.code, result.out) == (1, "")
    assert f"{path}:7 (document 2): User ann: spec.groups[0]: there is no Group" in result.err
    assert cluster.objects == {}


def test_a_foreign_cluster_that_refuses_one(cluster: StandIn, terminal: Runner, file: str) -> None:
    cluster.foreign = True
    result = terminal.ctl("apply", file)
    assert result.code == 0
    assert result.out == "Group: ops Created\nUser: ann Created\n2 created, 0 unchanged\n"
    assert "no transactions" in result.err
    cluster.objects.clear()
    cluster.add(resource("User", "ann", spec={"email": "x"}))
    cluster.failures["UpdateUser"] = [RefusedError("PERMISSION_DENIED", "no")]
    result = terminal.ctl("apply", file)
    assert result.code == 1
    assert result.out == "Group: ops Created\n1 created, 0 unchanged\n"
    assert "Error: User ann: PermissionDenied: no" in result.err


def test_nothing_to_apply(terminal: Runner, tmp_path: Path) -> None:
    assert terminal.ctl("apply").code == 2
    assert terminal.ctl("apply", str(tmp_path / "none")).code == 1
    assert terminal.ctl("apply", "-", stdin="").out == (
        "Nothing changed: 0 resources as the files say.\n"
    )
