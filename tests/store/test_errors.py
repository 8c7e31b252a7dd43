from __future__ import annotations

import grpc
import pytest

from octelium.store import errors


def all_errors() -> list[type[errors.StoreError]]:
    return [errors.StoreError, *errors.StoreError.__subclasses__()]


@pytest.mark.parametrize("error", all_errors())
def test_every_code_is_the_name_of_a_grpc_status(error: type[errors.StoreError]) -> None:
    assert error.code in grpc.StatusCode.__members__
    assert str(error("what happened")) == "what happened"


def test_the_codes_that_clients_rely_on() -> None:
    assert errors.NotFound.code == "NOT_FOUND"
    assert errors.AlreadyExists.code == "ALREADY_EXISTS"
    assert errors.ResourceChanged.code == "OUT_OF_RANGE"
    assert errors.InvalidArgument.code == "INVALID_ARGUMENT"
    assert errors.PermissionDenied.code == "PERMISSION_DENIED"
