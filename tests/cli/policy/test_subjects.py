from __future__ import annotations

from typing import Any

import pytest

from octelium.cli.policy.subjects import subject
from octelium.cli.policy.suite import Who
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core


def credential(**spec: Any) -> core.Credential:
    message: core.Credential = from_json(
        core.Credential, {"metadata": {"name": "key"}, "spec": {"user": "ann", **spec}}
    )
    return message


def asked(who: Who, found: core.Credential | None = None) -> tuple[str, Any]:
    def find(kind: str, name: str) -> core.Credential | None:
        assert (kind, name) == ("Credential", "key")
        return found

    return subject(who, find)


def test_users_and_nobody() -> None:
    assert asked(Who("ann", user="ann", session={"a": 1})) == ("ann", {"a": 1})
    assert asked(Who("anonymous")) == ("", {})


def test_the_session_of_a_credential() -> None:
    who = Who("key", credential="key", session={"status": {"isBrowser": True}})
    authorization = {"policies": ["ops"]}
    found = credential(type="OAUTH2", authorization=authorization)
    assert asked(who, found) == (
        "ann",
        {
            "spec": {"authorization": authorization},
            "status": {"type": "CLIENTLESS", "isBrowser": True},
        },
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "AUTH_TOKEN"}, "CLIENT"),
        ({"type": "ACCESS_TOKEN"}, "CLIENTLESS"),
        ({"type": "AUTH_TOKEN", "sessionType": "CLIENTLESS"}, "CLIENTLESS"),
    ],
)
def test_the_type_of_the_session(spec: dict[str, str], expected: str) -> None:
    who = Who("key", credential="key")
    assert asked(who, credential(**spec))[1] == {"status": {"type": expected}}
    given = Who("key", credential="key", session={"status": {"type": "CLIENT"}})
    assert asked(given, credential(**spec))[1] == {"status": {"type": "CLIENT"}}


def test_a_credential_that_is_not_there() -> None:
    with pytest.raises(Invalid, match="no Credential key"):
        asked(Who("key", credential="key"))
