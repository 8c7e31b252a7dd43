from __future__ import annotations

import pytest

from octelium.schema.documents import parse_documents
from octelium.schema.kinds import KINDS
from octelium.tui.changing import content
from octelium.tui.templates import has_template, template


@pytest.mark.parametrize("kind", [k for k in KINDS if has_template(k)])
def test_a_template_reads_as_one_resource_of_its_kind(kind: str) -> None:
    (document,) = parse_documents(template(kind), "template")
    assert document.kind.name == kind
    assert document.kind.creatable
    assert content(template(kind))


def test_every_kind_that_is_made_and_holds_no_value_has_one() -> None:
    for kind in KINDS.values():
        wanted = kind.creatable and not kind.has_data and not kind.internal
        assert has_template(kind.name) == wanted, kind.name


def test_others_have_none() -> None:
    with pytest.raises(KeyError):
        template("Session")
