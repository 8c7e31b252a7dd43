from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli import exits
from octelium.cli.failure import EXPECTED, Failed, report
from octelium.cli.terminal import Terminal
from octelium.client.errors import ApiError, SettingsError
from octelium.schema.errors import DocumentError, Invalid, InvalidDocuments

if TYPE_CHECKING:
    import pytest


def said(error: Exception, capsys: pytest.CaptureFixture[str], about: str = "") -> str:
    assert isinstance(error, EXPECTED)
    report(error, Terminal({}), about)
    seen = capsys.readouterr()
    assert seen.out == ""
    return seen.err


def test_each_problem_of_the_documents_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [DocumentError("a.yaml", 1, 3, "spec.x", "unknown field", "did you mean y?")] * 2
    text = said(InvalidDocuments(errors), capsys)
    assert text == ("Error: a.yaml:3 (document 1): spec.x: unknown field (did you mean y?)\n" * 2)


def test_a_refusal_says_whom_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(ApiError("NOT_FOUND", "it does not exist", ""), capsys, "user/bob")
    assert text == "Error: user/bob: NotFound: it does not exist\n"


def test_remedies(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(SettingsError("no", "do this"), capsys).endswith("\n  do this\n")
    ended = said(ApiError("UNAUTHENTICATED", "Octelium: Unauthenticated", ""), capsys)
    assert "the Session has ended" in ended
    assert "octelium login" in ended
    assert "NotFound\n" in said(ApiError("NOT_FOUND", "", ""), capsys)
    assert "Policies" in said(ApiError("PERMISSION_DENIED", "Octelium: Unauthorized", ""), capsys)
    assert "Policies" not in said(ApiError("PERMISSION_DENIED", "your own Session", ""), capsys)
    assert said(Invalid("a", "is wrong", "write b"), capsys) == "Error: a: is wrong (write b)\n"


def test_the_exit_code_of_what_has_been_said() -> None:
    assert Failed().exit_code == exits.FAILED
    assert Failed(exits.UNKNOWN).exit_code == exits.UNKNOWN
