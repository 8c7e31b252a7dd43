from __future__ import annotations

import pytest

from octelium.cli.selection import select
from octelium.schema.documents import parse_documents
from octelium.schema.errors import Invalid

PRUNED = ("Policy", "IdentityProvider", "Namespace", "Group", "User", "Service", "Credential")


def test_by_default_all_but_secrets() -> None:
    selection = select([], [], secrets=False)
    assert "Secret" not in selection.applied
    assert {"Config", "ClusterConfig", *PRUNED} == selection.applied
    assert selection.pruned == PRUNED


def test_secrets_on_demand() -> None:
    selection = select([], [], secrets=True)
    assert "Secret" in selection.applied
    assert selection.pruned == ("Secret", *PRUNED)


def test_only_some_kinds() -> None:
    selection = select(["svc", "Policy", "ClusterConfig"], [], secrets=False)
    assert selection.applied == {"Service", "Policy", "ClusterConfig"}
    assert selection.pruned == ("Policy", "Service")
    both = select(["Config"], [], secrets=True)
    assert both.applied == {"Config", "Secret"}
    assert both.pruned == ("Secret", "Config")


def test_secrets_are_never_pruned_without_their_own_option() -> None:
    assert select(["Secret", "User"], [], secrets=False).pruned == ("User",)


def test_all_but_some_kinds() -> None:
    selection = select([], ["User", "Secret"], secrets=True)
    assert not {"User", "Secret"} & (selection.applied | set(selection.pruned))


def test_kinds_that_files_do_not_hold() -> None:
    with pytest.raises(Invalid, match="a Session cannot be declared"):
        select(["Session"], [], secrets=False)
    with pytest.raises(Invalid, match="unknown kind 'Servise'"):
        select([], ["Servise"], secrets=False)
    with pytest.raises(Invalid, match=r"'Polcy'.*'Usr_'.*a Session cannot"):
        select(["Polcy", "User", "Usr_", "Session"], [], secrets=False)


def test_documents_are_split() -> None:
    text = "".join(
        f"kind: {kind}\nmetadata: {{name: x1}}\nspec: {{}}\n---\n" for kind in ("User", "Secret")
    )
    chosen, left = select([], [], secrets=False).split(parse_documents(text, "x"))
    assert [document.kind.name for document in chosen] == ["User"]
    assert [document.kind.name for document in left] == ["Secret"]
