from __future__ import annotations

import pytest

from octelium.authserver.login_states import LoginState, LoginStates, new_id
from octelium.authserver.targets import Target
from octelium.schema.pb import core_v1_pb2 as core


def state(identifier: str) -> LoginState:
    return LoginState(identifier, core.IdentityProvider(), {"nonce": "n"}, Target())


def test_ids() -> None:
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(each) == 36 and each.isalnum() and each.isascii() for each in made)


def test_once_and_with_the_cookie() -> None:
    states, identifier = LoginStates(), new_id()
    states.put(state(identifier), "192.0.2.1")
    for returned, cookie in (
        (identifier, ""),
        (identifier, new_id()),
        (new_id(), identifier),
        (identifier, identifier + " "),
        (identifier, "\u00e9" * 36),
        ("", ""),
        (identifier.swapcase(), identifier),
    ):
        assert states.take(returned, cookie) is None
    # What others tried has not used it up.
    taken = states.take(identifier, identifier)
    assert taken is not None
    assert taken.private == {"nonce": "n"}
    assert states.take(identifier, identifier) is None


def test_unknown_ones() -> None:
    other = new_id()
    assert LoginStates().take(other, other) is None
    assert LoginStates().take("a" * 35, "a" * 35) is None
    assert LoginStates().take("\u00e9" * 36, "\u00e9" * 36) is None


@pytest.mark.parametrize("count", [513])
def test_a_flood_from_one_address_leaves_others_alone(count: int) -> None:
    states, mine, first = LoginStates(), new_id(), new_id()
    states.put(state(mine), "192.0.2.1")
    states.put(state(first), "198.51.100.1")
    for _ in range(count):
        states.put(state(new_id()), "198.51.100.1")
    assert states.take(mine, mine) is not None
    assert states.take(first, first) is None


def test_the_network_of_a_subscriber_is_one_caller() -> None:
    states, mine = LoginStates(), new_id()
    states.put(state(mine), "2001:db8:1::1")
    for number in range(600):
        states.put(state(new_id()), f"2001:db8:2::{number:x}")
    assert len(states._states) == 513
    assert states.get(mine) is not None
    assert states.get(new_id()) is states.get("") is states.get("\u00e9" * 36) is None
    assert states.take(mine, mine) is not None
    assert states.get(mine) is None


def test_many_callers_throw_out_their_own() -> None:
    states, mine = LoginStates(), new_id()
    states.put(state(mine), "192.0.2.1")
    for number in range(17_000):
        states.put(state(new_id()), f"198.51.100.{number % 40}")
    assert states.take(mine, mine) is not None
