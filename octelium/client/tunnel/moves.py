"""Changes of this host's own network: its addresses and routes, as the kernel tells (rtnetlink(7)).

A program that keeps the address from which it sends, as wireguard-go does, goes on with one that is
gone; and whoever has something to say to us has to hear where we are.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)
_NETLINK_ROUTE: Final = 0
_GROUPS: Final = 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE."""
_SETTLE: Final = 0.1
"""Seconds. Changes come several at a time, such as an address and its routes."""


class Moves:
    """Calls `moved` soon after such changes, in the event loop, from `start` to `close`."""

    def __init__(self, moved: Callable[[], None], *, settle: float = _SETTLE) -> None:
        self._moved = moved
        self._settle = settle
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin. On a host whose kernel does not tell, nothing is ever called."""
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        try:
            made = socket.socket(socket.AF_NETLINK, kind, _NETLINK_ROUTE)
        except OSError as error:
            _LOG.info("changes of this host's network are not told: %s", error)
            return
        try:
            made.bind((0, _GROUPS))
        except OSError as error:
            made.close()
            _LOG.info("changes of this host's network are not told: %s", error)
            return
        self._socket = made
        asyncio.get_running_loop().add_reader(made, self._read)

    def close(self) -> None:
        """End. May be called again."""
        made, self._socket = self._socket, None
        if made is not None:
            asyncio.get_running_loop().remove_reader(made)
            made.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read(self) -> None:
        """Something has changed; what it was does not matter."""
        assert self._socket is not None
        try:
            while self._socket.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        except OSError as error:  # ENOBUFS: more than the kernel could keep for us
            _LOG.debug("changes of this host's network: %s", error)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._settle, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._moved()
