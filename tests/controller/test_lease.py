"""Never two leaders: with the clock in the test's hand, and candidates that hang and come back."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.kube.errors import (
    AbsentError,
    BusyError,
    ConflictError,
    KubeError,
    RefusedError,
)
from octelium.controller.kube.kinds import LEASE
from octelium.controller.lease import DEADLINE, DURATION, MARGIN, Election, identity_of

if TYPE_CHECKING:
    from octelium.controller.kube.kinds import Kind

NAME = "octelium-controller-c1"


class Server:
    """One Lease with versions, a clock, and faults that a test plants."""

    def __init__(self) -> None:
        self.now = 5000.0
        self.value: dict[str, Any] | None = None
        self.version = 0
        self.fault: KubeError | None = None
        self.lost_answer = False
        self.slow = 0.0
        self.writes = 0
        self.patience = DEADLINE / 2

    def clock(self) -> float:
        return self.now

    def _begin(self) -> None:
        self.now += self.slow
        if self.fault is not None:
            raise self.fault

    async def get(self, kind: Kind, name: str) -> dict[str, Any]:
        assert (kind, name) == (LEASE, NAME)
        self._begin()
        if self.value is None:
            raise AbsentError("no such lease", 404)
        return copy.deepcopy(self.value)

    async def create(self, kind: Kind, value: dict[str, Any]) -> dict[str, Any]:
        assert kind is LEASE
        self._begin()
        if self.value is not None:
            raise ConflictError("it exists", 409)
        return self._write(value)

    async def replace(
        self, kind: Kind, value: dict[str, Any], *, within: float | None = None
    ) -> dict[str, Any]:
        assert kind is LEASE
        assert within == self.patience
        self._begin()
        if self.value is None:
            raise AbsentError("no such lease", 404)
        if value["metadata"]["resourceVersion"] != self.value["metadata"]["resourceVersion"]:
            raise ConflictError("it has changed", 409)
        return self._write(value)

    def _write(self, value: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        self.value = copy.deepcopy(value)
        self.value["metadata"]["resourceVersion"] = str(self.version)
        assert self.value["spec"]["leaseDurationSeconds"] >= 1
        if self.lost_answer:
            raise BusyError("no answer")
        return copy.deepcopy(self.value)

    def election(self, identity: str) -> Election:
        # The clocks on the wall are wrong, each in its own way.
        wrong = float(sum(identity.encode()) * 1000)
        return Election(self, NAME, identity, now=self.clock, wall=lambda: self.now + wrong)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.value is not None
        found: dict[str, Any] = self.value["spec"]
        return found


async def test_the_first_one_makes_the_lease_and_leads() -> None:
    server = Server()
    one, other = server.election("one"), server.election("other")
    heard: list[bool] = []
    one.listeners.append(heard.append)
    assert not one.leading
    assert one.write_time == 0
    await one.step()
    await other.step()
    assert (one.leading, other.leading) == (True, False)
    assert heard == [True]
    assert server.spec["holderIdentity"] == "one"
    assert server.spec["leaseDurationSeconds"] == 15
    assert server.spec["leaseTransitions"] == 0
    assert one.write_time == DURATION - MARGIN


async def test_it_is_renewed_and_nobody_else_gets_it() -> None:
    server = Server()
    one, other = server.election("one"), server.election("other")
    for _ in range(30):
        await one.step()
        await other.step()
        assert (one.leading, other.leading) == (True, False)
        server.now += 2
    acquired, renewed = server.spec["acquireTime"], server.spec["renewTime"]
    assert acquired < renewed
    assert server.writes == 30


async def test_who_cannot_renew_stops_before_another_may_begin() -> None:
    server = Server()
    one, other = server.election("one"), server.election("other")
    heard: list[bool] = []
    one.listeners.append(heard.append)
    await one.step()
    await other.step()
    began = server.now
    while not other.leading:
        server.now += 0.5
        assert not (one.leading and other.leading)
        if server.now - began >= DEADLINE:
            assert not one.leading
        await other.step()
    assert server.now - began >= DURATION
    assert server.spec["leaseTransitions"] == 1
    server.fault = BusyError("away")
    await one.step()
    assert heard == [True, False]
    server.fault = None
    await one.step()
    assert (one.leading, other.leading) == (False, True)


async def test_a_write_ends_before_another_may_begin() -> None:
    server = Server()
    one, other = server.election("one"), server.election("other")
    await one.step()
    await other.step()
    began = server.now
    while one.leading:
        assert server.now + one.write_time <= began + DURATION - MARGIN
        server.now += 0.25
    assert one.write_time == 0


async def test_a_lease_that_is_given_back_is_taken_at_once() -> None:
    server = Server()
    one, other = server.election("one"), server.election("other")
    await one.step()
    await other.step()
    await one.release()
    assert not one.leading
    assert server.spec["holderIdentity"] == ""
    await other.step()
    assert other.leading
    assert server.spec["leaseTransitions"] == 1
    await one.release()
    assert server.spec["holderIdentity"] == "other"


async def test_it_is_given_back_after_a_renewal_that_was_interrupted() -> None:
    server = Server()
    one = server.election("one")
    await one.step()
    server.spec["renewTime"] = "later"
    assert server.value is not None
    server.value["metadata"]["resourceVersion"] = "2"
    server.version = 2
    await one.release()
    assert server.spec["holderIdentity"] == ""


async def test_the_lease_of_another_is_not_given_back() -> None:
    server = Server()
    one = server.election("one")
    await one.step()
    server.spec["holderIdentity"] = "thief"
    assert server.value is not None
    server.value["metadata"]["resourceVersion"] = "2"
    await one.release()
    assert server.spec["holderIdentity"] == "thief"


async def test_it_is_not_given_back_where_the_server_is_away() -> None:
    server = Server()
    one = server.election("one")
    await one.step()
    server.fault = BusyError("away")
    await one.release()
    assert not one.leading
    assert server.spec["holderIdentity"] == "one"


async def test_an_answer_that_is_lost_is_looked_for() -> None:
    server = Server()
    one = server.election("one")
    server.lost_answer = True
    await one.step()
    led = [one.leading]
    server.lost_answer = False
    await one.step()
    assert [*led, one.leading] == [False, True]
    server.lost_answer = True
    server.now += 2
    await one.step()
    assert one.leading
    server.lost_answer = False
    await one.step()
    troubles = [type(one.trouble)]
    await one.step()
    assert [*troubles, one.trouble] == [ConflictError, None]
    assert one.leading


async def test_who_is_replaced_lets_go_at_once() -> None:
    server = Server()
    one = server.election("one")
    await one.step()
    server.spec["holderIdentity"] = "thief"
    assert server.value is not None
    server.value["metadata"]["resourceVersion"] = "99"
    await one.step()
    await one.step()
    assert not one.leading


async def test_a_lease_that_is_deleted_is_made_again() -> None:
    server = Server()
    one = server.election("one")
    await one.step()
    server.value = None
    await one.step()
    await one.step()
    assert one.leading
    assert server.spec["holderIdentity"] == "one"


async def test_a_slow_renewal_counts_from_when_it_was_sent() -> None:
    server = Server()
    one = server.election("one")
    heard: list[bool] = []
    await one.step()
    one.listeners.append(heard.append)
    server.now += 6
    server.slow = 5
    await one.step()
    assert heard == [False, True]
    assert one.leading
    server.now += DEADLINE - 5
    assert not one.leading


async def test_what_is_refused_is_told() -> None:
    server = Server()
    server.fault = RefusedError("leases is forbidden", 403)
    one = server.election("one")
    await one.step()
    assert not one.leading
    assert "forbidden" in str(one.trouble)


async def test_nonsense_of_others_has_no_effect() -> None:
    server = Server()
    one = server.election("one")
    for spec in (
        {"holderIdentity": "x", "leaseDurationSeconds": -4, "leaseTransitions": "many"},
        {"holderIdentity": "x", "leaseDurationSeconds": 10**12},
    ):
        server.value = {"metadata": {"name": NAME, "resourceVersion": "1"}, "spec": spec}
        one = server.election("one")
        await one.step()
        assert not one.leading
        server.now += DURATION
        await one.step()
        assert one.leading
    bares: tuple[dict[str, Any], ...] = ({}, {"spec": None}, {"spec": {}})
    for bare in bares:
        server.value = {"metadata": {"name": NAME, "resourceVersion": "1"}, **bare}
        one = server.election("one")
        await one.step()
        assert one.leading


@given(st.data())
async def test_never_two(data: st.DataObject) -> None:
    server = Server()
    candidates = [server.election(name) for name in ("one", "two", "three")]
    for _ in range(data.draw(st.integers(1, 40))):
        server.now += data.draw(st.sampled_from([0, 0.5, 2, 6, 11, 16]))
        server.slow = data.draw(st.sampled_from([0, 0, 0, 1, 4]))
        server.fault = data.draw(st.sampled_from([None, None, None, BusyError("away")]))
        server.lost_answer = data.draw(st.sampled_from([False, False, False, True]))
        chosen = data.draw(st.sampled_from(candidates))
        if data.draw(st.integers(0, 9)) == 0:
            await chosen.release()
        else:
            await chosen.step()
        assert sum(one.leading for one in candidates) <= 1
    server.fault, server.lost_answer, server.slow = None, False, 0
    for _ in range(12):
        server.now += 2
        for one in candidates:
            await one.step()
    assert sum(one.leading for one in candidates) == 1


async def test_it_steps_by_itself() -> None:
    import asyncio

    from octelium.http.tasks import spawn

    server = Server()
    server.patience = 0.15
    one = Election(server, NAME, "one", duration=0.5, deadline=0.3, retry=0.01)
    leads = asyncio.Event()
    one.listeners.append(lambda _: leads.set())
    task = spawn(one.run(), name="lease")
    while not (leads.is_set() and server.writes >= 5):
        assert not task.done()
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])


def test_times_that_allow_two_leaders_are_no_times() -> None:
    with pytest.raises(ValueError, match="deadline"):
        Election(Server(), NAME, "x", duration=10, deadline=10, retry=2)


def test_no_two_processes_have_one_identity() -> None:
    assert identity_of("octelium-0") != identity_of("octelium-0")
    assert identity_of("octelium-0").startswith("octelium-0_")
