from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.tui.journal import ACCESS, Journal, access_row, attempt_row
from octelium.tui.lines import Tone
from octelium.tui.rows import Row
from tests.tui.fake import access, attempt
from tests.tui.hostile import HOSTILE
from tests.tui.test_inert import harmless


@given(
    st.lists(st.lists(st.sampled_from("ab"), max_size=12), max_size=8), st.sampled_from(["", "a"])
)
def test_the_last_entries_are_held_and_found(batches: list[list[str]], text: str) -> None:
    journal = Journal(ACCESS, most=10)
    journal.filter(text)
    number, whole = 0, []
    for batch in batches:
        pairs = []
        for letter in batch:
            pairs.append((Row(f"id{number}", letter, (letter,) * len(ACCESS)), number))
            number += 1
        whole += pairs
        journal.extend(pairs)
        held = whole[-10:]
        seen = [pair for pair in held if text in pair[0].name]
        assert [journal.at(index) for index in range(len(journal))] == [row for row, _ in seen]
        assert journal.total == len(held)
        for index in range(len(journal)):
            assert journal.place(journal.at(index).uid) == index
            assert journal.entry(index) == seen[index][1]
    journal.filter("")
    assert len(journal) == min(10, len(whole))
    journal.clear()
    assert len(journal) == journal.total == 0


def test_refusals_and_errors_stand_out() -> None:
    refused = access_row(access(1, user="a", service="s", path="/", allowed=False, code=403))
    broken = access_row(access(2, user="a", service="s", path="/", allowed=True, code=502))
    fine = access_row(access(3, user="a", service="s", path="/", allowed=True, code=200))
    assert [row.tone for row in (refused, broken, fine)] == [Tone.BAD, Tone.WARN, Tone.PLAIN]
    assert refused.values[5] == "denied"
    assert attempt_row(attempt(1, who="a", outcome="refused")).tone is Tone.BAD
    assert attempt_row(attempt(1, who="a", outcome="failed")).tone is Tone.WARN


def test_entries_are_inert() -> None:
    for text in HOSTILE:
        path = text.encode("utf-8", "replace").decode()
        row = access_row(access(1, user=path, service=path, path=path, allowed=True, code=200))
        assert all(harmless(str(value)) and len(str(value)) <= 300 for value in row.values)
        entry = attempt(1, who=path, outcome="refused", reason=path)
        assert all(harmless(str(value)) for value in attempt_row(entry).values)
