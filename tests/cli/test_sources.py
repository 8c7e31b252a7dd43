from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from octelium.cli.sources import UnreadableError, leads_out, read_documents, stored_name
from octelium.schema.errors import InvalidDocuments

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.schema.documents import Document


def user(name: str) -> str:
    return f"kind: User\nmetadata: {{name: {name}}}\nspec: {{}}\n"


def names(documents: list[Document]) -> list[str]:
    return [document.message.metadata.name for document in documents]


def test_directories_are_read_whole_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for path, name in (("b.yaml", "bb"), ("a.YML", "aa"), ("sub/c.yaml", "cc"), ("z.json", "dd")):
        (tmp_path / path).write_text(user(name))
    (tmp_path / "notes.txt").write_text("not yaml: [")
    assert names(read_documents([str(tmp_path)])) == ["aa", "bb", "cc", "dd"]
    single = tmp_path / "any.suffix"
    single.write_text(user("ee") + "---\n" + user("ff"))
    assert names(read_documents([str(single), str(tmp_path / "sub")])) == ["ee", "ff", "cc"]


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"\xef\xbb\xbf" + user("aa").encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (document,) = read_documents(["-"])
    assert (document.source, document.message.metadata.name) == ("stdin", "aa")


def test_all_problems_of_all_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: User\nmetadata: {name: aa}\nspec: {emial: x}\n")
    (tmp_path / "b.yaml").write_text(user("bb") + "---\nkind: Usr\n")
    with pytest.raises(InvalidDocuments) as caught:
        read_documents([str(tmp_path)])
    places = [(error.source, error.line) for error in caught.value.errors]
    assert places == [(str(tmp_path / "a.yaml"), 3), (str(tmp_path / "b.yaml"), 5)]


def test_duplicates_also_under_another_spelling(tmp_path: Path) -> None:
    service = "kind: Service\nmetadata: {name: NAME}\nspec: {mode: HTTP}\n"
    (tmp_path / "a.yaml").write_text(service.replace("NAME", "wiki"))
    (tmp_path / "b.yaml").write_text("\n" + service.replace("NAME", "wiki.default"))
    with pytest.raises(
        InvalidDocuments, match=r"b\.yaml.*wiki\.default is declared twice.*a\.yaml:1"
    ):
        read_documents([str(tmp_path)])


def test_names_in_the_cluster(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "kind: Service\nmetadata: {name: wiki}\nspec: {}\n---\n"
        "kind: ClusterConfig\nmetadata: {name: whatever}\nspec: {}\n"
    )
    documents = read_documents([str(tmp_path)])
    assert [stored_name(document) for document in documents] == ["wiki.default", "default"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes("kind: Usér".encode("latin-1"))
    for name, problem in (
        ("none.yaml", "No such file"),
        ("empty", "no files of resources"),
        ("latin.yaml", "not UTF-8"),
    ):
        with pytest.raises(InvalidDocuments, match=f"{name}: .*{problem}"):
            read_documents([str(tmp_path / name)])
    with pytest.raises(InvalidDocuments) as caught:
        read_documents([str(tmp_path / name) for name in ("none.yaml", "latin.yaml", "no.yaml")])
    assert len(caught.value.errors) == 3
    assert read_documents([str(tmp_path / "empty")], may_be_empty=True) == []


def test_nothing_in_a_directory_is_left_out_silently(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(user("aa"))
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    with pytest.raises(InvalidDocuments, match=r"gone\.yaml: cannot be read: No such file"):
        read_documents([str(tmp_path)])


def test_what_begins_with_a_dot_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.yaml").write_text("kind: [")
    (tmp_path / ".#b.yaml").symlink_to("somebody@host.123")
    (tmp_path / "b.yaml").write_text(user("bb"))
    assert names(read_documents([str(tmp_path)])) == ["bb"]


def test_kinds_that_are_not_declared_only_on_demand(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: Session\nmetadata: {name: x-1}\nspec: {}\n")
    with pytest.raises(InvalidDocuments, match="cannot be declared"):
        read_documents([str(tmp_path)])
    assert names(read_documents([str(tmp_path)], any_kind=True)) == ["x-1"]


def test_files_with_tests_are_passed_over_in_directories(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: Group\nmetadata: {name: a}\nspec: {}\n")
    for name in ("a.test.yaml", "b.TEST.yml", "c.test.json"):
        (tmp_path / name).write_text("cases: []")
    assert [stored_name(document) for document in read_documents([str(tmp_path)])] == ["a"]
    with pytest.raises(InvalidDocuments):
        read_documents([str(tmp_path / "a.test.yaml")])


def test_links_that_lead_out_of_a_directory_are_refused_unread(tmp_path: Path) -> None:
    folder, secret = tmp_path / "cluster", tmp_path / "secret.yaml"
    (folder / "sub").mkdir(parents=True)
    secret.write_text("token: hidden: words")
    (folder / "a.yaml").write_text(user("aa"))
    (folder / "b.yaml").symlink_to("../secret.yaml")
    (folder / "sub" / "c.yaml").symlink_to(secret)
    (folder / "d.yaml").symlink_to("../nowhere.yaml")
    (folder / "sub" / "e.yaml").symlink_to("../b.yaml")
    with pytest.raises(InvalidDocuments) as caught:
        read_documents([str(folder)])
    assert sorted(error.source for error in caught.value.errors) == [
        str(folder / name) for name in ("b.yaml", "d.yaml", "sub/c.yaml", "sub/e.yaml")
    ]
    for error in caught.value.errors:
        assert f"is a link that leads out of {folder}" in str(error)
    assert "hidden" not in str(caught.value)


def test_links_within_a_directory_and_named_ones_are_read(tmp_path: Path) -> None:
    """As a mounted ConfigMap has them: each file is a link into a directory beside it."""
    folder = tmp_path / "cluster"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "a.yaml").write_text(user("aa"))
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    assert names(read_documents([str(folder)])) == ["aa"]
    (tmp_path / "link").symlink_to("cluster")
    assert names(read_documents([str(tmp_path / "link")])) == ["aa"]
    assert names(read_documents([str(folder / "a.yaml")])) == ["aa"]
    (tmp_path / "single.yaml").symlink_to(folder / "a.yaml")
    assert names(read_documents([str(tmp_path / "single.yaml")])) == ["aa"]


def test_a_directory_does_not_hold_one_whose_name_only_begins_like_its_own(tmp_path: Path) -> None:
    for name in ("cluster", "cluster-secrets"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").touch()
    assert leads_out(tmp_path / "cluster-secrets/a.yaml", tmp_path / "cluster")
    assert leads_out(tmp_path / "cluster/../cluster-secrets/a.yaml", tmp_path / "cluster")
    assert not leads_out(tmp_path / "cluster/a.yaml", tmp_path / "cluster")


COMMAND = "::error file=x::said"
"""What a CI system takes for an order if a line begins so."""


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\x85"])
def test_names_of_files_make_no_lines(tmp_path: Path, end: str) -> None:
    broken = tmp_path / f"a{end}{COMMAND}.yaml"
    broken.write_text("kind: [\n")
    twice = tmp_path / f"b{end}{COMMAND}.yaml"
    twice.write_text(user("aa") + "---\n" + user("aa"))
    away = tmp_path / f"c{end}{COMMAND}.yaml"
    away.symlink_to("/nowhere")
    key = tmp_path / "d.yaml"
    key.write_text(f'"{end.encode("unicode_escape").decode()}{COMMAND}": 1\nkind: User\n')
    for paths in ([broken], [twice], [away], [key], [tmp_path]):
        with pytest.raises(InvalidDocuments) as caught:
            read_documents([str(path) for path in paths])
        for line in str(caught.value).splitlines():
            assert not line.lstrip().startswith("::")
    assert str(UnreadableError(f"cannot read a{end}{COMMAND}")).splitlines()[1:] == []


def test_an_excerpt_begins_no_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"a: 1\n{COMMAND}: @\n")
    with pytest.raises(InvalidDocuments) as caught:
        read_documents([str(tmp_path)])
    assert f"\n  | {COMMAND}" in str(caught.value)
