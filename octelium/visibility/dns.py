"""DNS queries in the access log: how types of records are written, and their official entry."""

from __future__ import annotations

from typing import Any, Final

_TYPES: Final = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA",
    33: "SRV", 35: "NAPTR", 39: "DNAME", 43: "DS", 48: "DNSKEY", 64: "SVCB", 65: "HTTPS",
    251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
_NUMBERS: Final = {name: number for number, name in _TYPES.items()}
_OFFICIAL: Final = frozenset({"A", "AAAA", "TXT", "CNAME", "MX"})
_GENERIC: Final = "TYPE"


def type_name(number: int) -> str:
    """The name of a type; one without is `TYPE` and its number (RFC 3597 §5)."""
    return _TYPES.get(number) or f"{_GENERIC}{number}"


def type_number(name: str) -> int:
    """The number of a type that `type_name` wrote; 0 for any other text."""
    number = _NUMBERS.get(name)
    if number is not None:
        return number
    digits = name.removeprefix(_GENERIC)
    return int(digits) if name.startswith(_GENERIC) and digits.isdecimal() else 0


def make_dns(kind: str, name: str, answer: str, rcode: int) -> dict[str, Any]:
    """The JSON form of `AccessLog.Entry.Info.DNS` for a question of a type and its answer."""
    return {
        "type": kind if kind in _OFFICIAL else "TYPE_OTHER",
        "typeID": type_number(kind),
        "name": name,
        "answer": answer,
        "rcode": rcode,
    }
