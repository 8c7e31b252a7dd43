from __future__ import annotations

from rich.cells import cell_len

from octelium.tui.data import Invited
from octelium.tui.lines import Tone
from octelium.tui.pictures import drawn, invitation
from tests.tui.fake import LINK, NOW


def test_the_picture_of_a_link_fits_an_old_terminal() -> None:
    rows = drawn(LINK)
    assert len(rows) <= 21
    assert {cell_len(row) for row in rows} == {len(rows[0])}
    assert len(rows[0]) <= 44


def test_the_picture_says_what_it_was_made_of() -> None:
    """Its modules are those of an encoder that was given the link, with light ones as blocks."""
    import segno

    matrix = [list(row) for row in segno.make(LINK, error="l", boost_error=False).matrix]
    bits = []
    for row in drawn(LINK):
        halves = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
        pairs = [halves[character] for character in row]
        bits.append([upper for upper, _ in pairs])
        bits.append([lower for _, lower in pairs])
    size = len(matrix)
    assert [row[2 : size + 2] for row in bits[2 : size + 2]] == matrix


def test_an_invitation_tells_what_to_know_and_names_are_inert() -> None:
    lines = invitation(Invited("a\x1bnn", LINK, int(NOW) + 900), NOW)
    text = "\n".join(line.text for line in lines)
    assert "a\\x1bnn" in text
    assert "within 15 minutes" in text.replace("\n", " ") or "15 minutes" in text
    assert lines[-1].text == LINK
    assert all(cell_len(line.text) <= 78 for line in lines[:-1])
    assert lines[0].tone is Tone.PICTURE
