"""Whether the other end of a tunnel answers, and what to say if it does not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from octelium.client.tunnel.tasks import begin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from octelium.client.tunnel.device import Tunnel

PATIENCE: Final = 5.0
"""Seconds without an answer after which a person is told."""
_AGAIN: Final = (0.1, 0.3, 0.7, 1.5)
"""Seconds after which a first handshake is begun anew. A Gateway lets a Session in only once all
of the Cluster knows it; and where both sides begin at once, each drops the other's answer. A
protocol that repeats after 5 s would make that 5 s."""
_TURN: Final = 0.02
_LATER: Final = 5.0
_UNHEARD: Final = 148
"""Bytes sent without an answer that are more than keepalives: an initiation (section 5.4.2)."""
_DATA: Final = 64
"""Bytes of the smallest packet that carries one of IP (section 5.4.6); a keepalive has half."""


class Watch:
    """Looks after the first answer of a tunnel, and after its silence later on.

    Args:
        beat: asks something through the tunnel; whether there was an answer. That is done only
            when something was sent in vain, so that a tunnel that is not used costs nothing.
        is_away: whether the Cluster itself does not answer. Then silence is no news.
    """

    def __init__(
        self,
        tunnel: Tunnel,
        *,
        note: Callable[[str], None],
        warn: Callable[[str], None],
        beat: Callable[[], Awaitable[bool]],
        is_away: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self._tunnel = tunnel
        self._note = note
        self._warn = warn
        self._beat = beat
        self._is_away = is_away
        self._clock = clock
        self._sleep = sleep
        self._seen: dict[str, tuple[int, int]] = {}
        self._is_told = False
        self.answered = asyncio.Event()
        """Whether there was an answer since `run` began."""

    async def run(self) -> None:
        """Until cancelled."""
        self.answered.clear()
        while True:
            if self._tunnel.begun.is_set():
                self._tunnel.begun.clear()
                await self._first()
                self._tell(silent=False)
            await self._later()
            if self._tunnel.begun.is_set():
                continue
            unheard = self._unheard()
            if unheard >= _UNHEARD:
                # Each side follows the other to where it was heard last, which may be nowhere.
                self._tunnel.find_again()
            self._tell(silent=not await self._answers(unheard))

    async def _answers(self, unheard: int) -> bool:
        """Whether the other end answers; it is asked if there is a doubt, twice at first."""
        if self._tunnel.is_silent:
            return await self._beat()
        if unheard < _DATA and self._tunnel.is_alive():
            return True
        return await self._beat() or await self._beat()

    def _tell(self, *, silent: bool) -> None:
        self._tunnel.is_silent = silent
        if silent and not self._is_told and not self._is_away():
            self._is_told = True
            self._warn(no_answer(self._tunnel))
        elif self._is_told and not silent:
            self._is_told = False
            self._note("The gateway answers again.")

    def _unheard(self) -> int:
        """Bytes sent since the last look to a Gateway that has said nothing since."""
        before = self._seen
        self._seen = {each.gateway: (each.sent, each.received) for each in self._tunnel.health()}
        silent = [
            sent - before[gateway][0]
            for gateway, (sent, received) in self._seen.items()
            if gateway in before and received == before[gateway][1]
        ]
        return max(silent, default=0)

    async def _later(self) -> None:
        """Wait until it is time to look, or until handshakes begin anew."""
        waiting = (
            begin(self._sleep(_LATER), name="pause of the watch"),
            begin(self._tunnel.begun.wait(), name="new handshakes"),
        )
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _first(self) -> None:
        begun = self._clock()
        again = list(_AGAIN)
        told = begun + PATIENCE
        is_told = False
        while not self._tunnel.is_alive():
            now = self._clock()
            if again and now >= begun + again[0]:
                again.pop(0)
                self._tunnel.begin_again()
            if now >= told:
                told = now + PATIENCE
                if not is_told and not self._is_away():
                    is_told = True
                    self._warn(no_answer(self._tunnel))
                for each in self._tunnel.health():
                    self._tunnel.try_next(each.gateway)
            await self._sleep(_TURN if again else _TURN * 5)
        if is_told:
            self._note("The gateway answers.")
        self.answered.set()


def no_answer(tunnel: Tunnel) -> str:
    """What is to be said of a tunnel whose other end is silent."""
    places = [
        f"{host} port {port}"
        for host, port in (each.endpoint for each in tunnel.health() if each.endpoint)
    ]
    if not tunnel.health():
        return "the Cluster has no gateway for tunnels at present; waiting for one"
    if not places:
        return "this host has no route to the gateway's address; trying on"
    return (
        f"no answer from the gateway at {' and '.join(places)} (UDP). Does a firewall, here or on "
        "the way or at the gateway, drop UDP to that port? Trying on"
    )
