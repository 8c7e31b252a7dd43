from __future__ import annotations

from octelium.client.errors import ApiError, ClientError
from octelium.schema.errors import DocumentError, InvalidDocuments
from octelium.tui.failures import EXPECTED, reasons, told_error
from octelium.tui.lines import Tone


def test_an_error_is_told_with_its_remedy_once() -> None:
    assert told_error(ClientError("gone", "look again")) == "gone: look again"
    assert told_error(ClientError("gone, look again", "look again")) == "gone, look again"
    assert "you may not" in told_error(ApiError("PERMISSION_DENIED", "you may not", ""))


def test_every_error_of_a_text_is_told() -> None:
    errors = InvalidDocuments(
        [DocumentError("text", 1, 1, "", "one"), DocumentError("text", 2, 1, "", "t\x1bwo")]
    )
    assert isinstance(errors, EXPECTED)
    assert "one" in told_error(errors)
    lines = reasons(errors)
    assert len(lines) == 2
    assert all(line.tone is Tone.BAD for line in lines)
    assert "t\\x1bwo" in lines[1].text
    assert [line.text for line in reasons(ClientError("no", "do"))] == ["no", "do"]
