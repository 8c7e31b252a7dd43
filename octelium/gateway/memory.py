"""Where each peer was last, in a file that outlives the process.

With it a new gateway finds clients behind NAT without waiting for them, and takes no handshake
message that the gateway before has seen (the WireGuard paper, section 5.1, on the timestamp). The
file holds records of one size, written in place: the pages of a killed process are not lost. After
a loss of power a record may be damaged; it is told by its checksum, and left out.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_RECORD = struct.Struct("<32s12s16sHBx16s")
_SUM = struct.Struct("<I")
_SIZE = _RECORD.size + _SUM.size
_MAGIC = b"octelium peers 2".ljust(_SIZE, b"\n")
_FORMER = struct.Struct("<32s12s16sHBx")
_FORMER_SIZE = _FORMER.size + _SUM.size
_FORMER_MAGIC = b"octelium peers 1".ljust(_FORMER_SIZE, b"\n")
"""Of files without own addresses."""
_MOST = 1 << 17
"""Records that are read; more than there can be Sessions."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """Where a peer was, if known, the greatest TAI64N label that it sent, or b"", and the address
    of ours that it sent to, or "".
    """

    endpoint: tuple[str, int] | None
    timestamp: bytes = b""
    own: str = ""


class Memory:
    """The records of a file, by public key. `close` it.

    A write that fails is logged once and costs no more than what it would have kept.
    """

    def __init__(self, path: Path) -> None:
        """Open, or make it. What is in it and no record is left out.

        Raises:
            OSError: the file cannot be had.
        """
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._known: dict[bytes, Remembered] = {}
        self._places: dict[bytes, int] = {}
        self._free: list[int] = []
        self._failed = False
        try:
            self._read()
        except BaseException:
            os.close(self._file)
            raise

    def __len__(self) -> int:
        return len(self._known)

    def get(self, public_key: bytes) -> Remembered | None:
        """What is known of a peer."""
        return self._known.get(public_key)

    def put(self, public_key: bytes, remembered: Remembered) -> None:
        """Know this of a peer from now on."""
        if self._known.get(public_key) == remembered:
            return
        place = self._places.get(public_key)
        if place is None:
            place = self._free.pop() if self._free else 1 + len(self._places)
        self._known[public_key], self._places[public_key] = remembered, place
        self._write(place, _encoded(public_key, remembered))

    def keep_only(self, public_keys: Iterable[bytes]) -> None:
        """Forget every other peer."""
        for public_key in self._known.keys() - set(public_keys):
            self.forget(public_key)

    def forget(self, public_key: bytes) -> None:
        """Know nothing of a peer any more."""
        if self._known.pop(public_key, None) is not None:
            place = self._places.pop(public_key)
            self._free.append(place)
            self._write(place, bytes(_SIZE))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _read(self) -> None:
        data = os.pread(self._file, _SIZE * (_MOST + 1), 0)
        if data[:_SIZE] != _MAGIC:
            former = data.startswith(_FORMER_MAGIC)
            if data and not former:
                _LOG.warning("%s is no list of peers: it is begun anew", self._path)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, _MAGIC, 0)
            for at in range(_FORMER_SIZE, len(data), _FORMER_SIZE) if former else ():
                if (old := _decoded(data[at : at + _FORMER_SIZE], _FORMER)) is not None:
                    self.put(*old)
            return
        for place in range(1, len(data) // _SIZE):
            found = _decoded(data[place * _SIZE : (place + 1) * _SIZE])
            if found is None or found[0] in self._known:
                self._free.append(place)
            else:
                self._known[found[0]], self._places[found[0]] = found[1], place

    def _write(self, place: int, record: bytes) -> None:
        try:
            os.pwrite(self._file, record, place * _SIZE)
        except OSError as error:
            if not self._failed:
                _LOG.warning("%s cannot be written: %s", self._path, error)
            self._failed = True


def _encoded(public_key: bytes, remembered: Remembered) -> bytes:
    address, port, version = bytes(16), 0, 0
    if remembered.endpoint is not None:
        host, port = remembered.endpoint
        packed = ipaddress.ip_address(host.partition("%")[0])
        address, version = packed.packed.ljust(16, b"\0"), packed.version
    own = bytes(16)
    if version and remembered.own:
        own = ipaddress.ip_address(remembered.own).packed.ljust(16, b"\0")
    body = _RECORD.pack(public_key, remembered.timestamp, address, port, version, own)
    return body + _SUM.pack(zlib.crc32(body) or 1)


def _decoded(record: bytes, kind: struct.Struct = _RECORD) -> tuple[bytes, Remembered] | None:
    """None for an empty or a damaged record."""
    body, checked = record[: kind.size], record[kind.size :]
    if len(checked) != _SUM.size or _SUM.unpack(checked)[0] != (zlib.crc32(body) or 1):
        return None
    public_key, timestamp, address, port, version, *rest = kind.unpack(body)
    endpoint, own = None, ""
    if version in (4, 6) and port:
        width = 4 if version == 4 else 16
        endpoint = str(ipaddress.ip_address(address[:width])), port
        if rest and any(rest[0]):
            own = str(ipaddress.ip_address(rest[0][:width]))
    return public_key, Remembered(endpoint, timestamp if any(timestamp) else b"", own)
