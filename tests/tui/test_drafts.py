from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tui.drafts import Draft, DraftError, Drafts

if TYPE_CHECKING:
    from pathlib import Path

ANN = Draft("User", "ann", "7", "kind: User\n")


def test_a_text_is_kept_where_only_its_writer_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "drafts"
    drafts = Drafts(folder, "example.com")
    drafts.keep(ANN)
    assert Drafts(folder, "example.com").find("User", "ann") == ANN
    assert Drafts(folder, "example.org").find("User", "ann") is None
    assert drafts.find("Group", "ann") is None
    assert not drafts.would_be_lost
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    drafts.keep(Draft("User", "ann", "8", "later"))
    assert Drafts(folder, "example.com").find("User", "ann") == Draft("User", "ann", "8", "later")
    drafts.drop("User", "ann")
    drafts.drop("User", "ann")
    assert Drafts(folder, "example.com").find("User", "ann") is None


@given(name=st.text(st.characters()) | st.just("../../evil"), kind=st.text())
def test_no_name_leads_out_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("drafts")
    draft = Draft(kind, name, "1", "text \ud800")
    Drafts(folder, "d").keep(draft)
    assert Drafts(folder, "d").find(kind, name) == draft
    assert len(list(folder.iterdir())) == 1


def lost(drafts: Drafts) -> bool:
    return drafts.would_be_lost


def test_without_a_folder_texts_end_with_the_process() -> None:
    drafts = Drafts()
    assert not lost(drafts)
    drafts.keep(ANN)
    assert drafts.find("User", "ann") == ANN
    assert lost(drafts)
    drafts.drop("User", "ann")
    assert not lost(drafts)


def test_a_file_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, "d")
    drafts.keep(ANN)
    (path,) = tmp_path.iterdir()
    for content in ("{", "[]", '{"kind": "User"}', "\ufffe"):
        path.write_text(content)
        with pytest.raises(DraftError, match="cannot be read"):
            Drafts(tmp_path, "d").find("User", "ann")


def test_a_text_that_cannot_be_written_is_kept_in_memory(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("")
    drafts = Drafts(folder, "d")
    with pytest.raises(DraftError, match="until you quit"):
        drafts.keep(ANN)
    assert drafts.find("User", "ann") == ANN
    with pytest.raises(DraftError):
        drafts.drop("User", "ann")


def test_nothing_lies_beside_a_text_that_cannot_take_its_place(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, "d")
    drafts.keep(ANN)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(DraftError, match="until you quit"):
        drafts.keep(ANN)
    assert [*tmp_path.iterdir()] == [path]
