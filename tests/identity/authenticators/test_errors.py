from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from octelium.identity.authenticators import errors

if TYPE_CHECKING:
    from octelium.identity.errors import AuthenticationError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.WrongResponseError("why"), "PERMISSION_DENIED"),
        (errors.CloneError("why"), "PERMISSION_DENIED"),
        (errors.RateLimitError("why"), "INVALID_ARGUMENT"),
        (errors.InvalidRequestError("why"), "INVALID_ARGUMENT"),
        (errors.NotOfferedError("why"), "UNIMPLEMENTED"),
    ],
)
def test_codes(error: AuthenticationError, code: str) -> None:
    assert error.code == code
    assert grpc.StatusCode[code]
    assert "why" in error.for_log


def test_why_a_response_is_wrong_is_for_the_log_alone() -> None:
    wrong, cloned = errors.WrongResponseError("late"), errors.CloneError("counter 3 after 7")
    assert wrong.answer == cloned.answer
    assert "late" not in wrong.answer
