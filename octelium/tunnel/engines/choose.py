"""Which engine there is to be, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from octelium.tunnel.engines import program
from octelium.tunnel.engines.interface import EngineError
from octelium.tunnel.engines.own import OwnEngine
from octelium.tunnel.engines.wireguard_go import WireGuardGo

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from octelium.tunnel.engines.interface import Engine

Setting = Literal["auto", "kernel", "wireguard-go", "own"]
SETTINGS: Final[tuple[str, ...]] = get_args(Setting)
_INSTALL: Final = f"install wireguard-go, or name it in {program.SETTING}"


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, before it is made.

    Attributes:
        reason: for people.
        wants_offload, wants_sockets: see `Engine`.
    """

    name: Literal["own", "wireguard-go"]
    reason: str
    wants_offload: bool
    wants_sockets: bool
    program: Path | None = None


def choose(setting: str = "auto", environment: Mapping[str, str] = os.environ) -> Choice:
    """The engine of a setting.

    By itself it takes wireguard-go if that moves large packets too, and our own otherwise, which
    is then the quicker one. The kernel's WireGuard is not offered.

    Raises:
        EngineError: it is not to be had; the text says why and what to do.
    """
    if setting not in SETTINGS:
        raise EngineError(f"engine: {setting!r} is none of {', '.join(SETTINGS)}")
    if setting == "kernel":
        raise EngineError("engine: the kernel's WireGuard is not offered; use auto")
    if setting == "own":
        return _own("as set")
    try:
        found = program.find(environment)
        offload = found is not None and program.knows_offload(found)
    except EngineError as error:
        if setting == "wireguard-go":
            raise
        return _own(str(error))
    if found is None:
        if setting == "wireguard-go":
            raise EngineError(f"engine: wireguard-go is not on the PATH; {_INSTALL}")
        return _own("wireguard-go is not on the PATH")
    if setting == "auto" and not offload:
        return _own(f"{found} is older than 2023, and slower")
    reason = "as set" if setting != "auto" else f"{found} is there"
    return Choice("wireguard-go", reason, offload, wants_sockets=False, program=found)


def make(
    choice: Choice,
    *,
    tun: int,
    device: str,
    private_key: bytes,
    previous: Sequence[bytes] = (),
    port: int,
    folder: Path,
    sockets: Sequence[socket.socket] = (),
    namespace: Sequence[int] = (),
    mtu: int = 1280,
    answers_from: bool = False,
) -> Engine:
    """The engine that was chosen, not yet started.

    Args:
        choice: of `choose`.
        tun: the descriptor of the device, opened as `wants_offload` says.
        device: the device's name.
        private_key: 32 bytes.
        previous: see `Engine.set_private_key`.
        port: of UDP; for an engine that makes its own sockets.
        folder: a private folder of such an engine.
        sockets: bound ones for the others.
        namespace: descriptors of the network that the device is in, if it is not ours.
        mtu: of the device.
        answers_from: answer peers from the address that they call; wireguard-go always does.

    Raises:
        ConfigurationError: no key, or no sockets where they are wanted.
    """
    if choice.program is None:
        return OwnEngine(
            tun,
            sockets,
            private_key=private_key,
            previous=previous,
            mtu=mtu,
            answers_from=answers_from,
        )
    return WireGuardGo(
        choice.program,
        tun,
        device=device,
        folder=folder,
        port=port,
        private_key=private_key,
        previous=previous,
        namespace=namespace,
        offload=choice.wants_offload,
    )


def _own(reason: str) -> Choice:
    return Choice("own", reason, wants_offload=True, wants_sockets=True)
