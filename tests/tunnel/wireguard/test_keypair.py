from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.wireguard.constants import NEVER, WINDOW
from octelium.tunnel.wireguard.keypair import Keypair
from octelium.tunnel.wireguard.peer import Peer
from tests.tunnel.wireguard.worlds import key


def keypair() -> Keypair:
    return Keypair(
        Peer(key("peer")),
        index=1,
        remote=2,
        send=key("send"),
        receive=key("receive"),
        initiator=True,
        dies=180.0,
        renew=NEVER,
        last_minute=NEVER,
    )


@given(
    st.lists(
        st.one_of(
            st.integers(0, 50),
            st.integers(0, 3 * WINDOW),
            st.integers(2**63 - 2 * WINDOW, 2**63),
        ),
        max_size=300,
    )
)
def test_each_counter_counts_once_and_none_too_late(counters: list[int]) -> None:
    session = keypair()
    seen: set[int] = set()
    for counter in counters:
        greatest = max(seen, default=-1)
        wanted = counter not in seen and counter > greatest - WINDOW
        assert session.accept(counter) is wanted
        if wanted:
            seen.add(counter)


def test_the_window_is_as_wide_as_it_says() -> None:
    session = keypair()
    assert session.accept(WINDOW)
    assert not session.accept(0)
    assert session.accept(1)
    assert not session.accept(1)


def test_the_window_stays_small() -> None:
    session = keypair()
    for counter in range(5 * WINDOW):
        assert session.accept(counter)
    assert session._window.bit_length() <= 2 * WINDOW
    assert not session.accept(4 * WINDOW + 1)
    for counter in range(10 * WINDOW, 20 * WINDOW, WINDOW - 1):
        assert session.accept(counter)
    assert session._window.bit_length() <= 3 * WINDOW


def test_each_direction_has_a_key_of_its_own() -> None:
    session = keypair()
    sealed = session.sending()(bytes(12), b"x", None)
    other = Keypair(
        session.peer,
        index=2,
        remote=1,
        send=key("receive"),
        receive=key("send"),
        initiator=False,
        dies=180.0,
        renew=NEVER,
        last_minute=NEVER,
    )
    assert other.receiving()(bytes(12), sealed, None) == b"x"
    assert other.sending()(bytes(12), b"x", None) != sealed


def test_ciphers_are_made_when_needed_and_again_after_a_rest() -> None:
    def made() -> list[bool]:
        return [each is not None for each in (session.encrypt, session.decrypt)]

    session = keypair()
    assert made() == [False, False]
    sealed = session.sending()(bytes(12), b"x", None)
    assert made() == [True, False]
    session.receiving()
    assert made() == [True, True]
    session.rest()
    assert made() == [False, False]
    assert session.sending()(bytes(12), b"x", None) == sealed
