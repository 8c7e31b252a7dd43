from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.wireguard.constants import NEVER
from octelium.tunnel.wireguard.peer import Peer
from octelium.tunnel.wireguard.scheduler import Scheduler
from tests.tunnel.wireguard.worlds import key

STEPS = st.lists(
    st.tuples(st.sampled_from(["wake", "forget", "due"]), st.integers(0, 4), st.integers(0, 30))
)


@given(STEPS)
def test_like_a_table_of_earliest_times(steps: list[tuple[str, int, int]]) -> None:
    scheduler = Scheduler()
    peers = [Peer(key(number)) for number in range(5)]
    model: dict[int, float] = {}
    for step, number, time in steps:
        if step == "wake":
            scheduler.wake(peers[number], float(time))
            model[number] = min(model.get(number, NEVER), float(time))
        elif step == "forget":
            scheduler.forget(peers[number])
            model.pop(number, None)
        else:
            due = scheduler.due(float(time))
            wanted = {one for one, when in model.items() if when <= time}
            assert {peers.index(peer) for peer in due} == wanted
            assert len(due) == len(wanted)
            for one in wanted:
                del model[one]
        assert scheduler.next() == min(model.values(), default=NEVER)


def test_stale_entries_do_not_pile_up() -> None:
    scheduler = Scheduler()
    peer = Peer(key(1))
    for turn in range(10_000):
        scheduler.wake(peer, 1e6 + turn)
        scheduler.wake(peer, float(turn))
        assert scheduler.due(float(turn)) == [peer]
    assert len(scheduler) < 100
    assert scheduler.next() == NEVER
