from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.cli.invocation import Invocation
from octelium.cli.tui import drafts_folder, edited, run_tests
from octelium.client.errors import ClientError
from octelium.tui.lines import Tone

if TYPE_CHECKING:
    from tests.cli.runner import Runner


@pytest.mark.parametrize("program", ["octelium", "octeliumctl"])
def test_without_a_terminal_it_says_what_to_do(offline: Runner, program: str) -> None:
    result = offline(program, "tui")
    assert result.code == 1
    assert "needs a terminal" in result.err
    assert "octeliumctl get" in result.err


@pytest.mark.parametrize(
    "words", [("--help",), ("octeliumctl", "--help"), ("octeliumctl", "tui", "--help")]
)
def test_help_does_not_load_textual(words: tuple[str, ...]) -> None:
    code = (
        "import sys; from octelium.cli.entry import run; run(['octelium', *sys.argv[1:]]); "
        "sys.exit(any(name.split('.')[0] in ('textual', 'rich') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "tui" in done.stdout


def test_a_text_goes_through_the_editor_and_no_file_stays(tmp_path: Path) -> None:
    script = tmp_path / "editor"
    script.write_text(f"#!/bin/sh\nstat -c %a \"$1\" > {tmp_path}/mode\n"
                      f"echo \"$1\" > {tmp_path}/name\nsed -i s/old/new/ \"$1\"\n")  # fmt: skip
    script.chmod(0o755)
    assert edited("old text\n", Invocation({"EDITOR": str(script)})) == "new text\n"
    assert (tmp_path / "mode").read_text().strip() == "600"
    assert not Path((tmp_path / "name").read_text().strip()).exists()


def test_an_editor_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="there is no editor"):
        edited("text", Invocation({"EDITOR": str(tmp_path / "none")}))


def test_an_editor_that_writes_no_text(tmp_path: Path) -> None:
    script = tmp_path / "editor"
    script.write_text("#!/bin/sh\nprintf '\\377' > \"$1\"\n")
    script.chmod(0o755)
    with pytest.raises(ClientError, match="not UTF-8"):
        edited("text", Invocation({"EDITOR": str(script)}))


def test_tests_of_policies_run_in_a_process_of_their_own(tmp_path: Path) -> None:
    lines = run_tests(str(tmp_path / "none"), Invocation())
    assert lines[0] == ("Not all passed.", Tone.BAD)
    assert any("none" in line.text for line in lines[1:])


def test_an_editor_that_fails_leaves_the_text_where_it_says(tmp_path: Path) -> None:
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\necho more >> "$1"\nexit 3\n')
    script.chmod(0o755)
    with pytest.raises(ClientError, match="status 3") as caught:
        edited("text\n", Invocation({"EDITOR": str(script)}))
    kept = Path(str(caught.value).rpartition(" kept in ")[2].split(";")[0].split(":")[0])
    try:
        assert kept.read_text() == "text\nmore\n"
    finally:
        kept.unlink()


@pytest.mark.parametrize(("home", "kept"), [("/x", Path("/x/drafts")), ("mem", None)])
def test_texts_are_kept_with_the_logins(home: str, kept: Path | None) -> None:
    assert drafts_folder(Invocation({"OCTELIUM_HOME": home})) == kept
