"""Databases of where addresses are, in MaxMind's format, as Configs hold them.

https://maxmind.github.io/MaxMind-DB/: the metadata follow the last occurrence of a marker within
the last 128 KiB of the file.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from octelium.schema.errors import Invalid

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core

LARGEST: Final = 64 << 20
"""Bytes of a database, unpacked."""
_MARKER: Final = b"\xab\xcd\xefMaxMind.com"
_METADATA: Final = 128 << 10
_GZIP: Final = b"\x1f\x8b"


def database_of(config: core.Config, path: str = "data") -> bytes:
    """The database that a Config holds in `data.valueBytes`, as it is or packed with gzip.

    Raises:
        Invalid: it holds none, or one that is too large.
    """
    if config.data.WhichOneof("type") != "value_bytes":
        raise Invalid(path, "holds no database of addresses", "write the file as valueBytes")
    data = config.data.value_bytes
    if data.startswith(_GZIP):
        data = _unpacked(data, f"{path}.valueBytes")
    if _MARKER not in data[-_METADATA:]:
        raise Invalid(f"{path}.valueBytes", "is no database in the MaxMind format (.mmdb)")
    return data


def _unpacked(data: bytes, path: str) -> bytes:
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = stream.decompress(data, LARGEST + 1)
    except zlib.error as error:
        raise Invalid(path, f"is no intact gzip file: {error}") from None
    if len(unpacked) > LARGEST:
        raise Invalid(path, f"is larger than {LARGEST >> 20} MiB when unpacked")
    if not stream.eof:
        raise Invalid(path, "is no intact gzip file: it is cut short")
    return unpacked
