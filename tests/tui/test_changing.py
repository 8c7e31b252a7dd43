from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from octelium.client.client import Client
from octelium.client.errors import ApiError
from octelium.client.settings import Flags
from octelium.schema.errors import InvalidDocuments
from octelium.schema.kinds import KINDS
from octelium.tui.changing import Changing, check, content, text_of_resource
from octelium.tui.lines import Tone
from tests.cli.real import real_api
from tests.client.between import between
from tests.client.standin import Authority
from tests.tui.fake import item

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from octelium.client.resources import Resources

GROUP = KINDS["Group"]
TEXT = "kind: Group\nmetadata: {name: ops}\nspec: {}\n"


@contextmanager
def client_of(tmp_path: Path) -> Iterator[Client]:
    """The administrator's client of the project's own API server."""
    with real_api(tmp_path, Authority.new()) as (_, environ):
        client = Client(Flags(), environ, warn=lambda _: None)
        try:
            yield client
        finally:
            client.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: User\nmetadata: {name: ops}\nspec: {}\n", "the kind must be Group"),
        ("kind: Group\nmetadata: {name: other}\nspec: {}\n", "the name must stay ops"),
        (f"{TEXT}---\n{TEXT.replace('ops', 'dev')}", "one document is wanted"),
        ("kind: Group\nmetadata: {name: ops}\nspec: {polices: []}\n", "unknown field"),
        ("kind: [", ""),
    ],
)
def test_what_is_no_form_of_the_resource_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidDocuments) as caught:
        check(GROUP, item("Group", "ops"), text)
    assert problem in str(caught.value.errors[0])


def test_comments_are_no_content() -> None:
    assert content("# a\n\n# b\n") == ""
    assert content(text_of_resource(item("Group", "ops"))).startswith(
        "kind: Group"
    ) or "kind: Group" in (content(text_of_resource(item("Group", "ops"))))


def test_a_change_is_planned_then_made_and_conflicts_are_refused(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        changing = Changing(client)
        plan = changing.plan(GROUP, None, TEXT)
        assert not plan.is_empty
        assert any("+kind: Group" in line.text for line in plan.lines)
        assert [one.metadata.name for one in client.resources.list_all(GROUP)] != ["ops"]
        assert changing.carry_out(plan) == "Group ops created"

        original = client.resources.get(GROUP, "ops")
        same = changing.plan(GROUP, original, text_of_resource(original))
        assert same.is_empty
        text = TEXT.replace("{name: ops}", "{name: ops, displayName: Operators}")
        plan = changing.plan(GROUP, original, text)
        assert any(line.tone is Tone.GOOD and "Operators" in line.text for line in plan.lines)
        late = changing.plan(GROUP, original, text.replace("Operators", "Late"))
        assert changing.carry_out(plan) == "Group ops updated"
        with pytest.raises(ApiError, match="changed by somebody else"):
            changing.carry_out(late)
        assert client.resources.get(GROUP, "ops").metadata.display_name == "Operators"

        preview = changing.preview(changing.plan(GROUP, None, TEXT.replace("ops", "new")), 80)
        assert "Access that changes" in preview[0].text
        assert changing.delete(GROUP, "ops") == "Group ops deleted"
        with pytest.raises(ApiError):
            client.resources.get(GROUP, "ops")


def test_refused_references_change_nothing(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        text = TEXT.replace("spec: {}", "spec: {authorization: {policies: [none]}}")
        with pytest.raises(InvalidDocuments, match="none"):
            Changing(client).plan(GROUP, None, text)


def test_values_are_set_and_never_shown(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        changing, kind = Changing(client), KINDS["Secret"]
        assert changing.set_value(kind, "key", "first", is_new=True) == "Secret key created"
        assert changing.set_value(kind, "key", "next", is_new=False) == "Secret key has a new value"
        assert "next" not in str(client.resources.get(kind, "key"))


def test_a_session_is_approved_and_edited_but_ones_own_not_revoked(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        changing, kind = Changing(client), KINDS["Session"]
        name = next(iter(client.resources.list_all(kind))).metadata.name
        assert changing.set_state(kind, name, "ACTIVE") == f"Session {name} is active"
        original = client.resources.get(kind, name)
        text = text_of_resource(original).replace("state: ACTIVE", "state: REJECTED")
        plan = changing.plan(kind, original, text)
        assert [line.text for line in plan.lines if line.tone is Tone.GOOD] == [
            "+  state: REJECTED"
        ]
        assert changing.plan(kind, original, text_of_resource(original)).is_empty
        with pytest.raises(ApiError, match="your own Session"):
            changing.delete(kind, name)


def test_changes_by_others_between_reading_and_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(tmp_path) as client:
        changing = Changing(client)
        changing.carry_out(changing.plan(GROUP, None, TEXT))
        original = client.resources.get(GROUP, "ops")
        plan = changing.plan(
            GROUP, original, TEXT.replace("{name: ops}", "{name: ops, tags: [night]}")
        )

        def describe(resources: Resources) -> None:
            group = resources.get(GROUP, "ops")
            group.metadata.description = "between"
            resources.update(GROUP, group)

        between(monkeypatch, describe)
        with pytest.raises(ApiError, match="changed by somebody else"):
            changing.carry_out(plan)
        stored = client.resources.get(GROUP, "ops").metadata
        assert (stored.description, list(stored.tags)) == ("between", [])

        kind = KINDS["Session"]
        name = next(iter(client.resources.list_all(kind))).metadata.name

        def shorten(resources: Resources) -> None:
            session = resources.get(kind, name)
            session.spec.expires_at.seconds -= 60
            resources.update(kind, session)

        ends = client.resources.get(kind, name).spec.expires_at.seconds
        between(monkeypatch, shorten)
        assert changing.set_state(kind, name, "ACTIVE") == f"Session {name} is active"
        assert client.resources.get(kind, name).spec.expires_at.seconds == ends - 60
