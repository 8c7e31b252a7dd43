from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.errors import ApiError, NotLoggedIn
from octelium.client.proofs import AuthenticationToken
from octelium.client.state import Login, LoginState
from octelium.client.storage import MemoryStorage, UnwritableError
from octelium.client.tokens import TokenKeeper
from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

D = "lab.test"


@dataclass
class Exchanged:
    """An exchange that hands out numbered tokens and fails as it is told."""

    errors: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    number: int = 0
    meanwhile: Callable[[], None] = lambda: None

    def authenticate(
        self, token: str, scopes: Sequence[str], code_verifier: bytes = b""
    ) -> auth.SessionToken:
        assert not code_verifier
        return self._next(f"authenticate {token} {','.join(scopes)}".strip())

    def vouch(self, assertion: str, provider: str, scopes: Sequence[str]) -> auth.SessionToken:
        return self._next(f"vouch {assertion} {provider} {','.join(scopes)}".strip())

    def refresh(self, refresh_token: str) -> auth.SessionToken:
        self.meanwhile()
        return self._next(f"refresh {refresh_token}")

    def logout(self, refresh_token: str) -> None:
        self._next(f"logout {refresh_token}")

    def _next(self, call: str) -> auth.SessionToken:
        self.calls.append(call)
        if code := self.errors.get(call.partition(" ")[0]):
            raise ApiError(code, "", "")
        self.number += 1
        return new_token(self.number)


def new_token(number: int) -> auth.SessionToken:
    return auth.SessionToken(
        access_token=f"a{number}",
        refresh_token=f"r{number}",
        expires_in=7200,
        refresh_token_expires_in=100_000,
    )


@dataclass
class World:
    exchange: Exchanged = field(default_factory=Exchanged)
    state: LoginState = field(default_factory=lambda: LoginState(MemoryStorage()))
    now: float = 1_800_000_000.0

    def keeper(self, token: str | None = None, scopes: Sequence[str] = ()) -> TokenKeeper:
        return TokenKeeper(
            D,
            self.state,
            self.exchange,
            proof=None if token is None else AuthenticationToken(token),
            scopes=scopes,
            clock=lambda: self.now,
        )

    def remember(self, number: int) -> None:
        self.state.put(D, Login(new_token(number), self.now))


@pytest.fixture
def world() -> World:
    return World()


def test_without_a_login_the_authentication_token_makes_one(world: World) -> None:
    assert world.keeper("T").can_prove
    assert world.keeper("T", ["api:*"]).access_token() == "a1"
    assert world.exchange.calls == ["authenticate T api:*"]
    stored = world.state.get(D)
    assert stored == Login(new_token(1), world.now)


def test_threads_that_have_no_session_make_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, given = world.keeper("T"), []
    other = threading.Thread(target=lambda: given.append(keeper.access_token()))
    authenticate = world.exchange.authenticate

    def slow(*words: Any) -> auth.SessionToken:
        if other.ident is None:
            other.start()
            other.join(0.1)  # it waits, or has made another one by then
        return authenticate(*words)

    monkeypatch.setattr(world.exchange, "authenticate", slow)
    assert keeper.access_token() == "a1"
    other.join(60)
    assert given == ["a1"]
    assert len(world.exchange.calls) == 1


def test_without_anything_it_says_how_to_log_in(world: World) -> None:
    assert not world.keeper().can_prove
    with pytest.raises(NotLoggedIn, match=D) as caught:
        world.keeper().access_token()
    assert "--auth-token" in caught.value.remedy


def test_a_good_login_is_used_as_it_is(world: World) -> None:
    world.remember(7)
    keeper = world.keeper("T")
    assert keeper.is_logged_in()
    assert [keeper.access_token(), keeper.access_token()] == ["a7", "a7"]
    assert world.exchange.calls == []


def test_at_half_of_its_life_a_token_is_renewed(world: World) -> None:
    world.remember(7)
    world.now += 3700
    keeper = world.keeper()
    assert [keeper.access_token(), keeper.access_token()] == ["a1", "a1"]
    assert world.exchange.calls == ["refresh r7"]
    assert world.state.get(D) == Login(new_token(1), world.now)


def test_too_early_a_refresh_keeps_the_token(world: World) -> None:
    world.remember(7)
    world.now += 3700
    world.exchange.errors["refresh"] = "ALREADY_EXISTS"
    assert world.keeper().access_token() == "a7"


def test_a_session_that_has_ended_falls_back_to_the_authentication_token(world: World) -> None:
    world.remember(7)
    world.now += 3700
    world.exchange.errors["refresh"] = "UNAUTHENTICATED"
    assert world.keeper("T").access_token() == "a1"
    with pytest.raises(NotLoggedIn):
        World(exchange=world.exchange).keeper().access_token()


def test_other_failures_of_a_refresh_are_told(world: World) -> None:
    world.remember(7)
    world.now += 3700
    world.exchange.errors["refresh"] = "UNAVAILABLE"
    with pytest.raises(ApiError, match="Unavailable"):
        world.keeper("T").access_token()
    assert world.exchange.calls == ["refresh r7"]


class Sealed(MemoryStorage):
    """Memory that cannot be written to any more once it is told so."""

    is_sealed = False

    def lock(self, name: str, timeout: float = 1.0) -> AbstractContextManager[None]:
        self.rehearse(name)
        return super().lock(name, timeout)

    def reading(self, name: str, timeout: float = 1.0) -> AbstractContextManager[None]:
        return super().lock(name, timeout)

    def rehearse(self, name: str) -> None:
        if self.is_sealed:
            raise UnwritableError(f"cannot write to {name}", "elsewhere")


def test_where_nothing_can_be_kept_a_token_is_used_as_long_as_it_is_good(world: World) -> None:
    storage = Sealed()
    world.state = LoginState(storage)
    world.remember(7)
    storage.is_sealed = True
    assert world.keeper().access_token() == "a7"
    keeper = world.keeper("T")
    world.now += 7199
    assert [keeper.access_token(), keeper.access_token()] == ["a7", "a7"]
    world.now += 1
    with pytest.raises(UnwritableError, match=f"login to {D} has to be renewed: cannot") as caught:
        keeper.access_token()
    assert caught.value.remedy.endswith("elsewhere")
    with pytest.raises(UnwritableError, match="has to be renewed"):
        keeper.after_rejection("a7")
    world.now += 200_000
    with pytest.raises(UnwritableError):
        keeper.access_token()  # no new Session is made which nobody would remember
    assert world.exchange.calls == []
    assert world.state.get(D) is not None


def test_where_nothing_can_be_kept_another_may_renew_it(world: World) -> None:
    storage = Sealed()
    world.state = LoginState(storage)
    world.remember(7)
    keeper = world.keeper()
    assert keeper.access_token() == "a7"
    world.now += 7000
    world.remember(8)
    storage.is_sealed = True
    assert keeper.access_token() == "a8"
    assert world.exchange.calls == []


def test_an_expired_login_is_none(world: World) -> None:
    world.remember(7)
    world.now += 200_000
    assert not world.keeper().is_logged_in()
    assert world.keeper("T").access_token() == "a1"
    assert world.exchange.calls == ["authenticate T"]


def test_another_process_that_was_faster_is_believed(world: World) -> None:
    world.remember(7)
    keeper = world.keeper()
    keeper.access_token()
    world.now += 3700
    world.remember(8)
    assert keeper.access_token() == "a8"
    assert world.exchange.calls == []


def test_a_rejected_token_is_renewed_once(world: World) -> None:
    world.remember(7)
    keeper = world.keeper()
    assert keeper.after_rejection(keeper.access_token()) == "a1"
    world.remember(9)
    assert keeper.after_rejection("a1") == "a9"
    assert world.exchange.calls == ["refresh r7"]


def test_a_rejected_token_that_cannot_be_renewed(world: World) -> None:
    world.remember(7)
    world.exchange.errors["refresh"] = "UNAUTHENTICATED"
    assert world.keeper().after_rejection("a7") is None
    world.exchange.errors["refresh"] = "ALREADY_EXISTS"
    assert world.keeper().after_rejection("a7") is None


def test_logout_forgets_even_if_the_cluster_cannot_be_told(world: World) -> None:
    world.remember(7)
    world.exchange.errors["logout"] = "UNAVAILABLE"
    with pytest.raises(ApiError):
        world.keeper().logout()
    assert world.state.get(D) is None
    world.keeper().logout()
    assert world.exchange.calls == ["logout r7"]


def test_it_tells_a_new_session_from_a_remembered_one(world: World) -> None:
    world.remember(7)
    keeper = world.keeper("T")
    world.now += 3700
    keeper.access_token()
    assert not keeper.is_new
    world.exchange.errors["refresh"] = "UNAUTHENTICATED"
    world.now += 3700
    keeper.access_token()
    assert keeper.is_new
