from __future__ import annotations

import pytest

from octelium.schema.kinds import KINDS, new
from octelium.tui.kinds import ADMINISTRATION, PERSON, Views
from octelium.tui.lines import Tone
from tests.tui.fake import item


def test_every_kind_of_the_api_has_a_view_with_its_short_names() -> None:
    views = Views(ADMINISTRATION)
    for kind in KINDS.values():
        if kind.internal:
            continue
        for word in (kind.command, kind.plural, *kind.aliases):
            found = views.find(word.upper())
            assert found is not None
            assert found.kind is kind


@pytest.mark.parametrize("views", [ADMINISTRATION, PERSON])
def test_words_mean_one_view(views: tuple[object, ...]) -> None:
    words = [word for view in views for word in view.words]  # type: ignore[attr-defined]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("view", [v for v in ADMINISTRATION if v.kind], ids=lambda v: v.id)
def test_an_empty_resource_has_a_row(view) -> None:  # type: ignore[no-untyped-def]
    row = view.row(new(view.kind))
    assert len(row.values) == len(view.columns)
    for column, value in zip(view.columns, row.values, strict=True):
        assert isinstance(value, str) == (column.form.value == "text"), column.title


def test_what_waits_or_is_rejected_stands_out() -> None:
    session = next(view for view in ADMINISTRATION if view.id == "session")
    assert session.row(item("Session", "s", spec={"state": "PENDING"})).tone is Tone.WARN
    assert session.row(item("Session", "s", spec={"state": "REJECTED"})).tone is Tone.BAD
    assert session.row(item("Session", "s", spec={"state": "ACTIVE"})).tone is Tone.PLAIN


def test_an_unknown_word_gets_a_hint() -> None:
    assert "sess" in Views(ADMINISTRATION).hint("sesions")
    assert Views(ADMINISTRATION).find("nothing") is None


def test_policies_of_its_own_are_counted() -> None:
    view = next(view for view in ADMINISTRATION if view.id == "service")
    place = [column.title for column in view.columns].index("POLICIES")
    own = {"name": "grant-ann", "spec": {"rules": []}}
    for authorization, shown in (
        ({}, ""),
        ({"policies": ["staff"]}, "staff"),
        ({"inlinePolicies": [own]}, "+1 inline"),
        ({"policies": ["staff", "ops"], "inlinePolicies": [own, own]}, "staff,ops,+2 inline"),
    ):
        service = item("Service", "wiki.default", spec={"authorization": authorization})
        assert view.row(service).values[place] == shown
