from __future__ import annotations

from octelium.client.errors import ApiError, ClientError, SettingsError


def test_an_api_error_reads_like_the_official_clients() -> None:
    error = ApiError("NOT_FOUND", "core.v1.User bob does not exist", "/x/GetUser")
    assert str(error) == "NotFound: core.v1.User bob does not exist"
    assert str(ApiError("PERMISSION_DENIED", "", "/x/GetUser")) == "PermissionDenied"


def test_a_remedy_is_kept_apart_from_the_problem() -> None:
    error = SettingsError("the domain is not set", "give --domain")
    assert isinstance(error, ClientError)
    assert (str(error), error.remedy) == ("the domain is not set", "give --domain")


def test_what_is_wrong_with_the_session_itself_is_told_apart() -> None:
    refused = ApiError("PERMISSION_DENIED", "Octelium: Unauthorized: it waits", "/x/GetUser")
    assert refused.own_reason == "it waits"
    assert ApiError("PERMISSION_DENIED", "Octelium: Unauthorized", "/x/GetUser").own_reason == ""
    assert ApiError("UNKNOWN", "Octelium: Unauthorized: it waits", "/x/GetUser").own_reason == ""
