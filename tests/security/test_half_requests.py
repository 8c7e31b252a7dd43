"""Whoever may call the API and never finishes calls holds up nobody, and no more than a share.

Bytes are counted as they were sent: what has been passed on of a call that is still open is at most
that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from octelium.schema.pb import user_v1_pb2 as user
from octelium.vigil.unfinished import MOST_BYTES_EACH
from tests.e2e.cluster import DOMAIN, Api
from tests.e2e.documents import credential, workload
from tests.e2e.test_private_network import token
from tests.peers.go_client import Call, Connection, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.security.lab import Lab

PART = 4 << 20
HALF = PART - (4 << 10)
"""Bytes of a call that are sent at once; the rest, one at a time, shows that the caller lives."""
CALLS = 11
OVER = CALLS - MOST_BYTES_EACH // PART
OFTEN = 0.5
"""Seconds after which a call says one more byte: it is ended if it says nothing for `SILENCE`."""
ATTEMPTS = 5
TOO_MUCH: int = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
SILENT: int = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


@pytest.fixture(scope="module")
def access(lab: Lab) -> str:
    """The access token of an ordinary client."""
    lab.create(workload("unsteady"))
    lab.create(credential("unsteady", "unsteady", "AUTH_TOKEN", sessionType="CLIENT"))
    lab.cluster.login()
    return Api(lab.channel).authenticate(token(lab.cluster, "unsteady")).access_token


@pytest.fixture
def told(lab: Lab) -> dict[str, Any]:
    """What connections are told."""
    authority = str(lab.cluster.data / "ca.pem")
    return {"domain": DOMAIN, "port": lab.cluster.port, "authority": authority}


class SilentError(AssertionError):
    """A call was ended because nothing came of it: this machine was too slow for an attempt."""


class Unfinished:
    """Calls of one connection that are never finished, and never silent for long."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.calls: list[Call] = []
        self._said = time.monotonic()

    def send(self, call: Call, data: bytes, *, end: bool = False) -> None:
        """As far as the peer takes it, and then further."""
        state, sent = self.connection.state, 0
        while sent < len(data):
            self.go_on()
            self.holds([call])
            room = state.local_flow_control_window(call.number)
            size = min(room, state.max_outbound_frame_size, len(data) - sent)
            if not size:
                self.connection.turn()
                continue
            last = end and sent + size == len(data)
            state.send_data(call.number, data[sent : sent + size], end_stream=last)
            self.connection.flush()
            sent += size

    def go_on(self) -> None:
        """Say a byte of each call that is open, now and then."""
        if time.monotonic() < self._said + OFTEN:
            return
        self._said = time.monotonic()
        for call in self.calls:
            if not call.ended and self.connection.state.local_flow_control_window(call.number):
                self.connection.state.send_data(call.number, b"\0")
        self.connection.flush()

    def holds(self, calls: Sequence[Call]) -> None:
        """Raises AssertionError where one has ended, SilentError where that was for its silence."""
        ended = [call.status() for call in calls if call.ended]
        if SILENT in ended:
            raise SilentError
        assert ended == []

    def refused(self, call: Call) -> None:
        """Wait for its end, as one that holds too much."""
        while not call.ended:
            self.go_on()
            self.holds(self.calls[OVER + 1 :])
            self.connection.turn()
        if call.status() == SILENT:
            raise SilentError
        assert call.status() == TOO_MUCH
        assert "try later" in call.headers["grpc-message"]


def test_halves_of_one_session_are_bounded(lab: Lab, access: str, told: dict[str, Any]) -> None:
    for attempt in range(ATTEMPTS):
        connection = Connection(told)
        try:
            bounded(lab, access, Unfinished(connection))
        except SilentError:
            if attempt + 1 == ATTEMPTS:
                raise
        else:
            return
        finally:
            connection.close()


def bounded(lab: Lab, access: str, unfinished: Unfinished) -> None:
    """Raises SilentError where it tells nothing."""
    who = ("x-octelium-auth", access)
    connection, calls = unfinished.connection, unfinished.calls
    half = (b"\0" + PART.to_bytes(4)).ljust(HALF, b"\0")
    for _ in range(CALLS):
        calls.append(connection.open("user", "GetStatus", who))
        unfinished.send(calls[-1], half)
    held = calls[OVER:]
    for call in calls[:OVER]:  # the oldest
        unfinished.refused(call)
    assert len(held) * HALF <= MOST_BYTES_EACH
    assert lab.api.user("GetStatus", user.GetStatusRequest()).domain == DOMAIN
    unfinished.go_on()
    status, message = connection.unary("user", "GetStatus", b"", who)
    assert (status, bool(message)) == (0, True)
    unfinished.holds(held)
    # A large message that is finished passes, and with it another of the oldest goes.
    body = field_of(PART - 100)
    whole = connection.open("user", "GetStatus", who)
    unfinished.send(whole, b"\0" + len(body).to_bytes(4) + body, end=True)
    assert whole.status() == 0
    unfinished.refused(held[0])
    unfinished.holds(held[1:])
    for call in held[1:]:
        call.cancel()


def field_of(size: int) -> bytes:
    """A message of so many bytes, about, which says nothing that anybody knows."""
    return text(15, bytes(size))
