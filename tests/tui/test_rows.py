from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.tui.rows import Column, Filter, Form, Row, Rows, made, shown
from tests.tui.fake import NOW, item

COLUMNS = (
    Column("NAME", lambda one: one.metadata.name),
    Column("AGE", lambda one: float(one.metadata.created_at.seconds), Form.AGE),
)
_rows = st.lists(
    st.builds(
        lambda number, name, age: Row(f"u{number}", name, (name, age)),
        st.integers(0, 30),
        st.text("abcAB", max_size=4),
        st.integers(0, 5),
    ),
    max_size=40,
)


def names(rows: Rows) -> list[str]:
    return [rows.at(index).name for index in range(len(rows))]


@given(_rows, _rows, st.lists(st.integers(0, 30), max_size=5), st.text("ab!", max_size=3))
def test_places_agree_with_what_is_shown(
    first: list[Row], then: list[Row], gone: list[int], text: str
) -> None:
    rows = Rows(COLUMNS)
    rows.replace(first)
    rows.filter(text)
    rows.change(then, [f"u{number}" for number in gone])
    rows.sort(1, reverse=True)
    wanted = Filter(text, COLUMNS)
    expected = {row.uid: row for row in first}
    for number in gone:
        expected.pop(f"u{number}", None)
    expected.update({row.uid: row for row in then})
    kept = {row.uid for row in expected.values() if wanted.keeps(row)}
    assert {rows.at(index).uid for index in range(len(rows))} == kept
    assert rows.total == len(expected)
    ages = [float(rows.at(index).values[1]) for index in range(len(rows))]
    assert ages == sorted(ages, reverse=True)
    for index in range(len(rows)):
        assert rows.place(rows.at(index).uid) == index
    assert rows.place("none") is None


def test_names_are_sorted_in_any_case() -> None:
    rows = Rows(COLUMNS)
    rows.replace([Row("1", "b", ("b", 1)), Row("2", "A", ("A", 2)), Row("3", "c", ("c", 3))])
    assert names(rows) == ["A", "b", "c"]


def test_the_words_of_a_filter() -> None:
    row = Row("1", "ann", ("ann", "ops,dev"))
    columns = (COLUMNS[0], Column("GROUPS", lambda _: ""))
    assert Filter("ANN ops", columns).keeps(row)
    assert not Filter("ann !ops", columns).keeps(row)
    assert Filter("groups:dev", columns).keeps(row)
    assert not Filter("name:dev", columns).keeps(row)
    assert not Filter("other:dev", columns).keeps(row)
    assert not Filter("  ! ", columns)


def test_values_are_shown_by_their_form() -> None:
    age, until, port, number, text = (Column("C", lambda _: "", form) for form in (
        Form.AGE, Form.UNTIL, Form.PORT, Form.NUMBER, Form.TEXT))  # fmt: skip
    assert shown(age, NOW - 90, NOW) == "90s"
    assert shown(age, 0, NOW) == "-"
    assert shown(until, 0, NOW) == "never"
    assert shown(until, NOW - 1, NOW) == "expired"
    assert shown(until, NOW + 60, NOW) == "60s"
    assert shown(port, 0, NOW) == "-"
    assert shown(number, 0, NOW) == "0"
    assert shown(text, "", NOW) == "-"


def test_a_row_is_inert() -> None:
    one = item("User", "ann")
    one.metadata.name = "a\x1b[2Jb"
    assert made(one, COLUMNS).values[0] == "a\\x1b[2Jb"
