"""Octelium's own functions for Google's evaluator, written anew and as plainly as possible."""

from __future__ import annotations

import datetime as dt
import json
import socket
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_strings

if TYPE_CHECKING:
    from collections.abc import Callable

NOW: Final = 1_800_000_000.5
"""What `now()` results in, in Unix seconds."""


def now() -> dt.datetime:
    return dt.datetime.fromtimestamp(NOW, dt.UTC)


# --- addresses, as numbers


def _number(text: str) -> tuple[int, int] | None:
    """The bits of an address and how many there are."""
    if not text.isascii():
        return None
    for family, bits in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
        try:
            return int.from_bytes(socket.inet_pton(family, text), "big"), bits
        except (OSError, ValueError):
            continue
    return None


def _plain(text: str) -> tuple[int, int] | None:
    found = _number(text)
    if found is not None and found[1] == 128 and found[0] >> 32 == 0xFFFF:
        return found[0] & 0xFFFF_FFFF, 32
    return found


def is_ip(text: str) -> bool:
    return _number(text) is not None


def is_ipv4(text: str) -> bool:
    found = _number(text)
    return found is not None and found[1] == 32


def is_ipv6(text: str) -> bool:
    found = _number(text)
    return found is not None and found[1] == 128


def is_private_ip(text: str) -> bool:
    return _plain(text) is not None and any(
        is_ip_in_range(text, prefix)
        for prefix in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
    )


def is_ip_in_range(text: str, prefix: str) -> bool:
    base, slash, length = prefix.partition("/")
    address, network = _plain(text), _number(base)
    if address is None or network is None or not slash or not length.isdecimal():
        raise ValueError("no address, or no network")
    if int(length) > network[1]:
        raise ValueError("the prefix is too long")
    shift = network[1] - int(length)
    return address[1] == network[1] and address[0] >> shift == network[0] >> shift


# --- days


def _weekend(moment: dt.datetime, zone: str = "UTC") -> bool:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return aware.astimezone(zoneinfo.ZoneInfo(zone or "UTC")).strftime("%a") in {"Sat", "Sun"}


def _weekday(moment: dt.datetime, zone: str = "UTC") -> bool:
    return not _weekend(moment, zone)


# --- lists, texts, JSON


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return bool(left == right)


def _has_any(items: list[Any], wanted: list[Any]) -> bool:
    return any(_same(item, one) for one in wanted for item in items)


def _has_all(items: list[Any], wanted: list[Any]) -> bool:
    return all(any(_same(item, one) for item in items) for one in wanted)


def _extreme(choose: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    def extreme(items: list[Any]) -> Any:
        if not items or any(item is None or isinstance(item, (list, dict)) for item in items):
            raise ValueError("no extreme")
        kinds = {"number" if type(item) in (int, float) else type(item).__name__ for item in items}
        if len(kinds) > 1:
            raise ValueError("no order")
        return choose(items)

    return extreme


def _floats(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list):
        return [_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    return value


def _parse(text: str) -> dict[str, Any]:
    value = json.loads(text, parse_constant=lambda name: json.loads(name + "?"))
    if not isinstance(value, dict):
        raise ValueError("no object")
    made = _floats(value)
    assert isinstance(made, dict)
    return made


def _functions() -> list[Any]:
    types = cel.Type
    text, flag, instant, items = types.STRING, types.BOOL, types.TIMESTAMP, types.LIST

    def one(name: str, made: Any, result: Any, *parameters: Any, member: bool = False) -> Any:
        identifier = name.replace(".", "_").lower() + "_peer"
        overload = cel.Overload(identifier, result, list(parameters), member, impl=made)
        return cel.FunctionDecl(name, [overload])

    return [
        one("now", now, instant),
        one("json.parse", _parse, types.Map(text, types.DYN), text),
        one("net.isIP", is_ip, flag, text),
        one("net.isIPv4", is_ipv4, flag, text),
        one("net.isIPv6", is_ipv6, flag, text),
        one("net.isPrivateIP", is_private_ip, flag, text),
        one("net.isIPInRange", is_ip_in_range, flag, text, text),
        one("time.isWeekday", _weekday, flag, instant),
        one("time.isWeekend", _weekend, flag, instant),
        one("time.isWeekdayInTZ", _weekday, flag, instant, text),
        one("time.isWeekendInTZ", _weekend, flag, instant, text),
        one("hasAny", _has_any, flag, items, items, member=True),
        one("hasAll", _has_all, flag, items, items, member=True),
        one("toLower", lambda value: value.lower(), text, text, member=True),
        one("toUpper", lambda value: value.upper(), text, text, member=True),
        one("min", _extreme(min), types.DYN, items, member=True),
        one("max", _extreme(max), types.DYN, items, member=True),
    ]


def environment() -> Any:
    """Google's environment with everything that ours has, save `json.marshal`."""
    return cel.NewEnv(
        variables={"ctx": cel.Type.DYN, "attrs": cel.Type.DYN},
        extensions=[
            ext_strings.ExtStrings(),
            ext_math.ExtMath(),
            ext_encoders.ExtEncoders(),
            ext_bindings.ExtBindings(),
        ],
        functions=_functions(),
    )
