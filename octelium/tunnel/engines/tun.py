"""The TUN descriptor of an engine: large packets in and out, see `octelium.tunnel.packets`."""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import TYPE_CHECKING, Final

from octelium.tunnel.engines.interface import EngineError
from octelium.tunnel.packets.coalesce import coalesce
from octelium.tunnel.packets.heads import PacketError
from octelium.tunnel.packets.split import split

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from octelium.tunnel.packets.split import Packet

_READS: Final = 16
"""Calls of one turn."""
_ENOUGH: Final = 256
"""Packets after which a turn ends: a few ms of work, so that the other direction has its turn."""
_LONGEST: Final = 65_535 + 40 + 10
MOST_WAITING: Final = 1024
"""Frames that wait for a device that is full; more are dropped, the newest."""
_GONE: Final = frozenset({errno.EBADF, errno.EBADFD, errno.ENODEV, errno.ENXIO})


class TunPort:
    """A TUN device with IFF_VNET_HDR.

    Attributes:
        waiting: frames that the kernel had no room for.
    """

    __slots__ = ("_counters", "descriptor", "waiting")

    def __init__(self, descriptor: int, counters: Counter[str]) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.waiting: deque[bytes] = deque()
        self._counters = counters

    def read(self) -> list[Packet]:
        """Packets that are there, a bounded number of them, cut and with checksums.

        Raises:
            EngineError: the device is gone.
        """
        packets: list[Packet] = []
        counters = self._counters
        for _ in range(_READS):
            try:
                frame = os.read(self.descriptor, _LONGEST)
            except BlockingIOError:
                break
            except OSError as error:
                self._failed("tun_read", error)
                break
            counters["tun_read_calls"] += 1
            try:
                packets += split(frame)
            except PacketError:
                counters["tun_malformed"] += 1
            if len(packets) >= _ENOUGH:
                break
        counters["tun_read"] += len(packets)
        return packets

    def write(self, packets: Iterable[bytes]) -> None:
        """Hand packets to the kernel; segments that belong together go as one.

        Raises:
            EngineError: the device is gone.
        """
        waiting = self.waiting
        for frame in coalesce(packets):
            if waiting or not self._try(frame):
                if len(waiting) < MOST_WAITING:
                    waiting.append(frame)
                else:
                    self._counters["tun_dropped"] += 1

    def flush(self) -> None:
        """Hand over what waits, as far as there is room.

        Raises:
            EngineError: the device is gone.
        """
        while self.waiting and self._try(self.waiting[0]):
            self.waiting.popleft()

    def _try(self, frame: bytes) -> bool:
        """Whether it is done with: taken, or refused for good."""
        try:
            os.write(self.descriptor, frame)
        except BlockingIOError:
            return False
        except OSError as error:  # EIO: the device is down; EINVAL: the kernel likes it not
            self._failed("tun_write", error)
        else:
            self._counters["tun_written"] += 1
        return True

    def _failed(self, what: str, error: OSError) -> None:
        if error.errno in _GONE:
            raise EngineError(f"the TUN device is gone: {error.strerror}") from error
        self._counters[f"{what}_{errno.errorcode.get(error.errno or 0, 'unknown')}"] += 1
