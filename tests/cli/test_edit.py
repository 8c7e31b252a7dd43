from __future__ import annotations

import stat
import tempfile
from typing import TYPE_CHECKING

import pytest

from octelium.cli import edit
from octelium.cli.edit import open_editor
from octelium.client.errors import ClientError
from octelium.client.resources import IF_VERSION
from octelium.schema.kinds import KINDS
from tests.cli.runner import Runner, resource
from tests.client.between import between
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from octelium.client.resources import Resources
    from tests.client.standin import StandIn

# Each run of the editor takes the next line of a script: sed expressions; a copy of what it was
# shown is kept.
EDITOR = """#!/bin/sh
count=$(ls {folder}/seen | wc -l)
cp "$1" {folder}/seen/$count
expression=$(sed -n "$((count + 1))p" {folder}/script)
[ -z "$expression" ] || sed -i "$expression" "$1"
"""


class Editor:
    """An editor that does as it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "seen").mkdir()
        self.path = folder / "an editor"
        self.path.write_text(EDITOR.format(folder=folder))
        self.path.chmod(0o700)

    def will(self, *expressions: str) -> None:
        (self.folder / "script").write_text("\n".join(expressions) + "\n")

    def shown(self, number: int) -> str:
        return (self.folder / "seen" / str(number)).read_text()


@pytest.fixture
def editor(
    cluster: StandIn, terminal: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Editor:
    cluster.add(resource("User", "ann", spec={"email": "ann@lab.test"}))
    made = Editor(tmp_path)
    terminal.environ["EDITOR"] = f"'{made.path}'"
    buffers = tmp_path / "buffers"
    buffers.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(buffers))
    return made


@pytest.fixture
def left_over(tmp_path: Path) -> Callable[[], list[Path]]:
    return lambda: sorted((tmp_path / "buffers").iterdir())


def test_what_is_saved_becomes_the_resource(
    cluster: StandIn, terminal: Runner, editor: Editor, left_over: Callable[[], list[Path]]
) -> None:
    editor.will("s/ann@lab.test/new@lab.test/")
    assert terminal.works("edit", "user", "ann") == "user/ann updated\n"
    assert cluster.objects["User", "ann"].spec.email == "new@lab.test"
    shown = editor.shown(0)
    assert shown.startswith("# Save and close to change this User;")
    assert shown.endswith(
        "apiVersion: core/v1\nkind: User\nmetadata:\n  name: ann\nspec:\n  email: ann@lab.test\n"
    )
    assert left_over() == []


@pytest.mark.parametrize("expression", ["", "s/# Save/# Or save/", "d"])
def test_nothing_saved_changes_nothing(
    cluster: StandIn, terminal: Runner, editor: Editor, expression: str
) -> None:
    editor.will(expression)
    result = terminal.ctl("edit", "user/ann")
    assert (result.code, result.out, result.err) == (0, "", "user/ann is unchanged.\n")
    assert "UpdateUser" not in cluster.methods()


def test_a_mistake_is_shown_in_the_editor_and_can_be_corrected(
    cluster: StandIn, terminal: Runner, editor: Editor
) -> None:
    editor.will("s/  email:/  emial:/", "s/emial: ann/email: new/")
    result = terminal.ctl("edit", "user", "ann")
    assert (result.code, result.out) == (0, "user/ann updated\n")
    assert "spec.emial" in result.err
    again = editor.shown(1)
    assert again.startswith("# Refused:\n#   ")
    assert "emial" in again.split("#\n")[0]
    assert again.count("# Save and close") == 0
    assert cluster.objects["User", "ann"].spec.email == "new@lab.test"


def test_giving_up_keeps_the_text(
    cluster: StandIn, terminal: Runner, editor: Editor, left_over: Callable[[], list[Path]]
) -> None:
    editor.will("s/  email:/  emial:/")
    result = terminal.ctl("edit", "user", "ann")
    assert (result.code, result.out) == (1, "")
    (kept,) = left_over()
    assert f"The text is kept in {kept}." in result.err
    assert f"octeliumctl apply {kept}" in result.err
    assert "  emial: ann@lab.test\n" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "UpdateUser" not in cluster.methods()


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("s/name: ann/name: bob/", "the name must stay ann"),
        ("s/kind: User/kind: Group/; /email/d; s/^spec:/spec: {}/", "the kind must stay User"),
        ("s/^spec:/spec: {}\\n---\\nkind: User\\nspec:/", "one document"),
    ],
)
def test_it_stays_the_same_resource(
    cluster: StandIn, terminal: Runner, editor: Editor, expression: str, problem: str
) -> None:
    editor.will(expression)
    result = terminal.ctl("edit", "user", "ann")
    assert result.code == 1
    assert "UpdateUser" not in cluster.methods()
    assert problem in result.err


def test_a_change_by_somebody_else_is_not_overwritten_unseen(
    cluster: StandIn, terminal: Runner, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor.will("s/ann@/new@/", "s/new@/newer@/")
    opened: list[Path] = []

    def meanwhile(path: Path, environ: dict[str, str]) -> None:
        open_editor(path, environ)
        opened.append(path)
        if len(opened) == 1:
            user = cluster.objects["User", "ann"]
            user.spec.email = "other@lab.test"
            user.metadata.resource_version = "1-9"

    monkeypatch.setattr(edit, "open_editor", meanwhile)
    result = terminal.ctl("edit", "user", "ann")
    assert "changed by somebody else meanwhile" in result.err
    assert (result.code, len(opened)) == (0, 2)
    assert cluster.objects["User", "ann"].spec.email == "newer@lab.test"


def test_other_kinds(cluster: StandIn, terminal: Runner, editor: Editor) -> None:
    session = cluster.add(resource("Session", "ann-1", spec={"state": "PENDING"}))
    editor.will("s/PENDING/ACTIVE/")
    assert terminal.works("edit", "session", "ann-1") == "session/ann-1 updated\n"
    assert session.spec.state == 1
    cluster.add(resource("ClusterConfig", "default"))
    assert terminal.ctl("edit", "clusterconfig").err == "clusterconfig/default is unchanged.\n"
    cluster.add(resource("Secret", "key", data={"value": "s"}))
    result = terminal.ctl("edit", "secret", "key")
    assert result.code == 2
    assert "octeliumctl update secret" in result.err
    assert terminal.ctl("edit", "region", "default").code == 1
    assert terminal.ctl("edit", "user", "ann", "bob").code == 2
    assert terminal.ctl("edit", "user").code == 2


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"EDITOR": "/no/such/editor"}, "there is no editor '/no/such/editor'"),
        ({"VISUAL": "false", "EDITOR": "true"}, "'false' ended with status 1"),
        ({"OCTELIUM_EDITOR": "'"}, "cannot start the editor"),
    ],
)
def test_an_editor_that_fails(tmp_path: Path, environ: dict[str, str], problem: str) -> None:
    with pytest.raises(ClientError, match=problem):
        open_editor(tmp_path / "x", environ)


def test_without_an_editor_nothing_is_left_over(
    terminal: Runner, editor: Editor, left_over: Callable[[], list[Path]]
) -> None:
    terminal.environ["EDITOR"] = str(editor.folder / "none")
    result = terminal.ctl("edit", "user", "ann")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Error: there is no editor ")
    assert left_over() == []


def test_editing_with_the_projects_own_api(real: Runner, tmp_path: Path) -> None:
    editor = Editor(tmp_path)
    real.environ = {**real.environ, "EDITOR": f"'{editor.path}'"}
    real.works("create", "user", "ann", "--email", "ann@lab.test")
    editor.will("s/ann@lab.test/x/", "s/email: x/email: new@lab.test/")
    result = real.ctl("edit", "user", "ann")
    assert (result.code, result.out) == (0, "user/ann updated\n")
    assert "spec.email" in result.err
    assert "email: new@lab.test" in real.works("get", "user", "ann")


def test_a_change_between_the_last_look_and_the_writing(
    cluster: StandIn, terminal: Runner, editor: Editor, left_over: Callable[[], list[Path]]
) -> None:
    """The Cluster refuses, and the text is kept."""
    version = cluster.objects["User", "ann"].metadata.resource_version
    cluster.failures["UpdateUser"] = [RefusedError("OUT_OF_RANGE", "has been changed")]
    editor.will("s/ann@/new@/")
    result = terminal.ctl("edit", "user", "ann")
    assert result.code == 1
    assert "user/ann has been changed by somebody else meanwhile" in result.err
    (call,) = (call for call in cluster.calls if call.method == "UpdateUser")
    assert call.metadata[IF_VERSION] == version
    (kept,) = left_over()
    assert "new@lab.test" in kept.read_text()


def test_a_real_cluster_looks_at_the_version(
    real: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real.works("create", "user", "ann", "--email", "ann@lab.test")
    made = Editor(tmp_path)
    real.environ["EDITOR"] = f"'{made.path}'"
    made.will("s/ann@/new@/", "s/new@/newer@/")

    def switch_off(resources: Resources) -> None:
        user = resources.get(KINDS["User"], "ann")
        user.spec.is_disabled = True
        resources.update(KINDS["User"], user)

    between(monkeypatch, switch_off)
    result = real.ctl("edit", "user", "ann")
    assert (result.code, result.out) == (0, "user/ann updated\n")
    assert "user/ann has been changed by somebody else meanwhile" in result.err
    assert made.shown(1).startswith("# Refused:")
