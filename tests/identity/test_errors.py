from __future__ import annotations

import grpc
import pytest

from octelium.identity import errors

CLASSES = [
    errors.UnauthenticatedError,
    errors.UnknownUserError,
    errors.RefusedError,
    errors.SessionLimitError,
    errors.SessionRefusedError,
    errors.TooEarlyError,
    errors.CredentialUnusableError,
]

# The official clients send a call again on these, sixteen times.
RETRIED = {"UNAVAILABLE", "UNKNOWN", "INTERNAL", "ABORTED", "DATA_LOSS", "RESOURCE_EXHAUSTED"}


@pytest.mark.parametrize("error", CLASSES)
def test_codes_are_final_statuses(error: type[errors.AuthenticationError]) -> None:
    assert error.code in grpc.StatusCode.__members__
    assert error.code not in RETRIED


@pytest.mark.parametrize("error", CLASSES)
def test_only_who_proved_something_learns_the_reason(
    error: type[errors.AuthenticationError],
) -> None:
    answer = error("the Credential root-init is disabled").answer
    if error.code == "UNAUTHENTICATED":
        assert answer == "Unauthenticated User"
    else:
        assert answer == "the Credential root-init is disabled"
