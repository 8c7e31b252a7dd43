from __future__ import annotations

import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.visibility.dns import make_dns, type_name, type_number


@given(st.integers(min_value=0, max_value=65535))
def test_types_have_the_names_of_the_registry(number: int) -> None:
    name = type_name(number)
    assert type_number(name) == number
    assert dns.rdatatype.from_text(name) == number


@pytest.mark.parametrize("number", [1, 2, 5, 6, 12, 15, 16, 28, 33, 64, 65, 255, 257])
def test_usual_types_are_named(number: int) -> None:
    assert type_name(number) == dns.rdatatype.to_text(dns.rdatatype.RdataType(number))
    assert type_number(type_name(number)) == number


@pytest.mark.parametrize("text", ["", "TYPE", "TYPE-1", "TYPEx", "NOPE", "a"])
def test_other_texts_are_no_types(text: str) -> None:
    assert type_number(text) == 0


def test_the_official_form_knows_few_types() -> None:
    assert make_dns("MX", "a.", "10 b.", 0)["type"] == "MX"
    assert make_dns("SRV", "a.", "", 2) == {
        "type": "TYPE_OTHER", "typeID": 33, "name": "a.", "answer": "", "rcode": 2,
    }  # fmt: skip
