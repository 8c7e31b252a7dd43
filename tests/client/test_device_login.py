from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.browser_login import LoginError
from octelium.client.device_login import GRANT, Code, DeviceLogin
from octelium.client.errors import ApiError
from octelium.client.login_host import LoginHost
from octelium.client.settings import Target
from octelium.schema.pb import auth_v1_pb2 as auth
from tests.client.exchanged import TOKENS, Recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

METADATA: dict[str, Any] = {
    "device_authorization_endpoint": "https://lab.test/device_authorization",
    "token_endpoint": "https://lab.test/token",
    "grant_types_supported": [GRANT],
}
BEGUN: dict[str, Any] = {
    "device_code": "secret",
    "user_code": "BCDF-GHJK",
    "verification_uri": "https://lab.test/device",
    "verification_uri_complete": "https://lab.test/device?user_code=BCDF-GHJK",
    "expires_in": 600,
    "interval": 5,
}
GIVEN: dict[str, Any] = {
    "access_token": "a",
    "refresh_token": "r",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token_expires_in": 7200,
}
PENDING = (400, {"error": "authorization_pending"})
Answer = tuple[int, dict[str, Any]] | ApiError


@dataclass
class Host(LoginHost):
    """Answers as it is told; the last answer of the token endpoint is repeated."""

    metadata: Answer = (200, METADATA)
    begun: Answer = (200, BEGUN)
    polls: list[Answer] = field(default_factory=lambda: [(200, GIVEN)])
    posted: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    shown: list[Code] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(Target("lab.test", "127.0.0.1", 443, "octelium-api.lab.test"))

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        assert path == "/.well-known/oauth-authorization-server"
        return _given(self.metadata)

    def post(self, path: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        self.posted.append((path, form))
        if path == "/device_authorization":
            return _given(self.begun)
        assert path == "/token"
        return _given(self.polls.pop(0) if len(self.polls) > 1 else self.polls[0])

    def login(self, *scopes: str, otherwise: Any = None) -> auth.SessionToken:
        device = DeviceLogin(self, self.shown.append, otherwise=otherwise, sleep=self.slept.append)
        return device.tokens(Recorded(), scopes)


def _given(answer: Answer) -> tuple[int, dict[str, Any]]:
    if isinstance(answer, ApiError):
        raise answer
    return answer


def test_a_person_lets_the_machine_in() -> None:
    host = Host(polls=[PENDING, (200, GIVEN)])
    assert host.login("api:*", "service:wiki") == auth.SessionToken(
        access_token="a", refresh_token="r", expires_in=3600, refresh_token_expires_in=7200
    )
    complete = "https://lab.test/device?user_code=BCDF-GHJK"
    assert host.shown == [Code("BCDF-GHJK", "https://lab.test/device", complete, 600)]
    poll = {"grant_type": GRANT, "device_code": "secret", "client_id": "octelium-cli"}
    begin = {"client_id": "octelium-cli", "scope": "api:* service:wiki"}
    assert host.posted == [("/device_authorization", begin), ("/token", poll), ("/token", poll)]
    assert host.slept == [5, 5]


def test_it_slows_down_when_told_to() -> None:
    slower = (400, {"error": "slow_down"})
    host = Host(polls=[slower, PENDING, slower, (200, GIVEN)])
    host.login()
    assert host.slept == [5, 10, 10, 15]


def test_what_is_not_said_has_a_default() -> None:
    plain = {
        key: value
        for key, value in BEGUN.items()
        if key not in ("interval", "verification_uri_complete")
    }
    host = Host(begun=(200, plain))
    host.login()
    assert host.slept == [5]
    assert host.shown[0].complete == host.shown[0].page


def test_a_server_that_is_away_for_a_while_is_asked_less_often() -> None:
    away = ApiError("UNAVAILABLE", "", "")
    host = Host(polls=[away, away, (200, GIVEN)])
    host.login()
    assert host.slept == [5, 10, 20]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((400, {"error": "access_denied"}), "was denied"),
        ((400, {"error": "expired_token"}), "nobody entered the code"),
        ((400, {"error": "odd", "error_description": "so odd"}), "refuses the login: so odd"),
        ((500, {}), "status 500"),
        ((400, {"error": ["a"]}), "refuses the login"),
        ((200, {**GIVEN, "token_type": "mac"}), "no bearer token"),
        ((200, {**GIVEN, "refresh_token": ""}), "refresh_token is missing"),
        ((200, {**GIVEN, "expires_in": "3600"}), "expires_in is no number"),
        ((200, {**GIVEN, "refresh_token_expires_in": True}), "is no number"),
    ],
)
def test_it_ends_with_a_reason(answer: Answer, problem: str) -> None:
    host = Host(polls=[PENDING, answer])
    with pytest.raises(LoginError, match=problem):
        host.login()
    assert len(host.slept) == 2


def test_it_does_not_ask_for_ever() -> None:
    host = Host(polls=[PENDING])
    with pytest.raises(LoginError, match="nobody entered the code"):
        host.login()
    assert sum(host.slept) == 600
    endless = Host(polls=[PENDING], begun=(200, {**BEGUN, "expires_in": 10**9, "interval": 10**9}))
    with pytest.raises(LoginError):
        endless.login()
    assert sum(endless.slept) == 1800


@pytest.mark.parametrize("key", ["device_code", "user_code", "verification_uri", "expires_in"])
def test_a_beginning_that_lacks_something(key: str) -> None:
    lacking = {name: value for name, value in BEGUN.items() if name != key}
    with pytest.raises(LoginError, match=key):
        Host(begun=(200, lacking)).login()


def test_scopes_that_the_cluster_does_not_know() -> None:
    with pytest.raises(LoginError, match="does not know such scopes") as caught:
        Host(begun=(400, {"error": "invalid_scope"})).login("x")
    assert "--scope" in caught.value.remedy


@pytest.mark.parametrize(
    "metadata",
    [
        (404, {}),
        ApiError("INTERNAL", "no JSON", ""),
        (200, {**METADATA, "grant_types_supported": ["client_credentials"]}),
        (200, {**METADATA, "grant_types_supported": None}),
        (200, {**METADATA, "token_endpoint": "https://evil.test/token"}),
        (200, {**METADATA, "device_authorization_endpoint": "http://lab.test/d"}),
    ],
)
def test_a_cluster_without_such_logins(metadata: Answer) -> None:
    host = Host(metadata=metadata)
    with pytest.raises(LoginError, match="offers no login by code"):
        host.login()

    class Otherwise:
        def tokens(self, exchange: object, scopes: object) -> auth.SessionToken:
            assert exchange
            assert scopes == ()
            return TOKENS

    assert host.login(otherwise=Otherwise()) == TOKENS
    assert host.posted == []


def test_a_cluster_that_is_away_is_no_cluster_without_such_logins() -> None:
    with pytest.raises(ApiError, match="Unavailable"):
        Host(metadata=ApiError("UNAVAILABLE", "", "")).login(otherwise=pytest.fail)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted(BEGUN | GIVEN)) | st.just("error"), JSON))
def test_any_answer_ends_it_or_is_right(body: dict[str, Any]) -> None:
    for host in (Host(begun=(200, body)), Host(polls=[(200, body)]), Host(polls=[(400, body)])):
        try:
            made = host.login()
        except LoginError:
            continue
        assert made.access_token
        assert made.refresh_token
