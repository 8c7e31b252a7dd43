"""Octelium's own functions: `now()`, `json.*`, `net.*`, `time.*`, and some of lists and texts.

https://octelium.com/docs/octelium/latest/management/core/policy#cel lists them for users.
"""

from __future__ import annotations

import json
import math
import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel import times
from octelium.policy.cel.errors import CelError, UnknownDataError
from octelium.policy.cel.functions.standard import format_double
from octelium.policy.cel.operators import check_size
from octelium.policy.cel.values import (
    NOW,
    Duration,
    Frame,
    Timestamp,
    UInt,
    charge,
    equal,
    is_less,
    no_overload,
    plain_key,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_PREFIX: Final = re.compile(r"[0-9a-fA-F.:]{2,45}/[0-9]{1,3}")
_PRIVATE: Final = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_MAX_JSON: Final = 4 * 1024 * 1024
_MAX_JSON_DEPTH: Final = 64


def now(frame: Frame) -> object:
    """The instant of the evaluation; the same in every part of one decision."""
    instant = frame[NOW]
    if instant is None:
        raise UnknownDataError("the time of the request is not known yet")
    return instant


# --- json


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is out of range")
    return value


def parse_json(frame: Frame, text: Any) -> dict[str, object]:
    """The object that a JSON text holds; numbers become doubles."""
    if type(text) is not str:
        raise no_overload("json.parse", text)
    check_size(frame, len(text), _MAX_JSON)
    parts = sum(map(text.count, ",:[{"))
    charge(frame, 32 + (len(text) >> 4) + 4 * parts)
    try:
        value = json.loads(
            text, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise CelError(f"json.parse(): {error}") from None
    if type(value) is not dict:
        raise CelError("json.parse() needs an object at the top level")
    return value


def marshal_json(frame: Frame, value: Any) -> str:
    """JSON in its shortest form, keys sorted."""
    parts: list[str] = []
    _marshal(frame, value, parts, 0)
    check_size(frame, sum(map(len, parts)), _MAX_JSON)
    return "".join(parts)


def _marshal(frame: Frame, value: Any, parts: list[str], depth: int) -> None:
    charge(frame, 12)
    if depth > _MAX_JSON_DEPTH:
        raise CelError("json.marshal(): the value is nested too deeply")
    match value:
        case None:
            parts.append("null")
        case bool():
            parts.append("true" if value else "false")
        case str():
            charge(frame, len(value) >> 4)
            parts.append(_json_text(value))
        case UInt() | int():
            parts.append(str(int(value)))
        case float():
            if not math.isfinite(value):
                raise CelError("json.marshal(): JSON has no such number")
            charge(frame, 16)
            parts.append(format_double(value, high=21))
        case bytes():
            from octelium.policy.cel.functions.encoders import encode

            parts.append(f'"{encode(frame, value)}"')
        case Timestamp():
            parts.append(f'"{times.format_timestamp(value)}"')
        case Duration():
            parts.append(f'"{times.format_duration(value)}"')
        case list():
            _marshal_items(frame, value, parts, depth)
        case dict():
            _marshal_entries(frame, value, parts, depth)
        case _:
            raise CelError(f"json.marshal(): a {type_name(value)} has no JSON form")


def _marshal_items(frame: Frame, items: list[object], parts: list[str], depth: int) -> None:
    parts.append("[")
    for index, item in enumerate(items):
        if index:
            parts.append(",")
        _marshal(frame, item, parts, depth + 1)
    parts.append("]")


def _marshal_entries(
    frame: Frame, entries: dict[object, object], parts: list[str], depth: int
) -> None:
    parts.append("{")
    texts: dict[str, object] = {}
    charge(frame, 12 * len(entries))
    for key, item in entries.items():
        plain = plain_key(key)
        text = ("true" if plain else "false") if type(plain) is bool else str(plain)
        texts[text] = item
    for index, text in enumerate(sorted(texts)):
        if index:
            parts.append(",")
        parts.append(f"{_json_text(text)}:")
        _marshal(frame, texts[text], parts, depth + 1)
    parts.append("}")


def _json_text(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        if char in quoted:
            quoted = quoted.replace(char, f"\\u{ord(char):04x}")
    return quoted


# --- net


def _address(frame: Frame, text: object) -> IPv4Address | IPv6Address | None:
    charge(frame, 32)
    if type(text) is not str or len(text) > 45 or "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _plain_address(frame: Frame, text: object) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4 address also when it is written as one mapped into IPv6."""
    address = _address(frame, text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _need_text(name: str, text: object) -> None:
    if type(text) is not str:
        raise no_overload(name, text)


def is_ip(frame: Frame, text: object) -> bool:
    """Whether `text` is an IP address."""
    _need_text("net.isIP", text)
    return _address(frame, text) is not None


def is_ipv4(frame: Frame, text: object) -> bool:
    """Whether `text` is an IPv4 address."""
    _need_text("net.isIPv4", text)
    return isinstance(_address(frame, text), IPv4Address)


def is_ipv6(frame: Frame, text: object) -> bool:
    """Whether `text` is an IPv6 address."""
    _need_text("net.isIPv6", text)
    return isinstance(_address(frame, text), IPv6Address)


def is_private_ip(frame: Frame, text: object) -> bool:
    """Whether `text` is an address of RFC 1918 or RFC 4193."""
    _need_text("net.isPrivateIP", text)
    address = _plain_address(frame, text)
    return address is not None and any(address in network for network in _PRIVATE)


def is_ip_in_range(frame: Frame, text: Any, prefix: Any) -> bool:
    """Whether an address lies in a network such as `10.0.0.0/8`."""
    if type(text) is not str or type(prefix) is not str:
        raise no_overload("net.isIPInRange", text, prefix)
    charge(frame, 64)
    address = _plain_address(frame, text)
    if address is None:
        raise CelError("net.isIPInRange(): the first argument is no IP address")
    network: IPv4Network | IPv6Network | None = None
    if _PREFIX.fullmatch(prefix):
        try:
            network = ip_network(prefix, strict=False)
        except ValueError:
            network = None
    if network is None:
        raise CelError("net.isIPInRange(): the second argument is no network such as 10.0.0.0/8")
    return address in network


# --- time


def _is_weekend(moment: datetime) -> bool:
    return moment.isoweekday() > 5


def is_weekday(frame: Frame, value: Any, zone: Any = "UTC") -> bool:
    """Whether it is Monday to Friday at that instant, in UTC or the given zone."""
    return not is_weekend(frame, value, zone)


def is_weekend(frame: Frame, value: Any, zone: Any = "UTC") -> bool:
    """Whether it is Saturday or Sunday at that instant, in UTC or the given zone."""
    if type(value) is not Timestamp or type(zone) is not str:
        raise no_overload("time.isWeekend", value, zone)
    return _is_weekend(times.local(frame, value, zone))


# --- lists and texts


def _member(frame: Frame, items: list[object], value: object) -> bool:
    charge(frame, 8 + 3 * len(items))
    return any(equal(value, item, frame) for item in items)


def has_any(frame: Frame, target: Any, wanted: Any) -> bool:
    """Whether the list holds one of the wanted values."""
    if type(target) is not list or type(wanted) is not list:
        raise no_overload("hasAny", target, wanted)
    return any(_member(frame, target, value) for value in wanted)


def has_all(frame: Frame, target: Any, wanted: Any) -> bool:
    """Whether the list holds all of the wanted values."""
    if type(target) is not list or type(wanted) is not list:
        raise no_overload("hasAll", target, wanted)
    return all(_member(frame, target, value) for value in wanted)


def _best(frame: Frame, name: str, target: Any) -> object:
    if type(target) is not list:
        raise no_overload(name, target)
    if not target:
        raise CelError(f"{name}() of an empty list")
    charge(frame, 3 * len(target))
    best: Any = target[0]
    if is_less(best, best, frame) is None:
        raise no_overload(name, target)
    for item in target[1:]:
        better = is_less(item, best, frame) if name == "min" else is_less(best, item, frame)
        if better is None:
            raise no_overload(name, target)
        if better:
            best = item
    return best


def minimum(frame: Frame, target: Any) -> object:
    """The least element of a list."""
    return _best(frame, "min", target)


def maximum(frame: Frame, target: Any) -> object:
    """The greatest element of a list."""
    return _best(frame, "max", target)


def to_lower(frame: Frame, target: Any) -> str:
    """`target` in lower case, character by character as in Unicode's simple mapping."""
    return _mapped(frame, "toLower", target, str.lower)


def to_upper(frame: Frame, target: Any) -> str:
    """`target` in upper case, character by character as in Unicode's simple mapping."""
    return _mapped(frame, "toUpper", target, str.upper)


def _mapped(frame: Frame, name: str, target: Any, mapping: Callable[[str], str]) -> str:
    if type(target) is not str:
        raise no_overload(name, target)
    check_size(frame, len(target))
    if target.isascii():
        return mapping(target)
    charge(frame, len(target))
    return "".join(mapped if len(mapped := mapping(char)) == 1 else char for char in target)


FUNCTIONS: Final[dict[tuple[str, int], Callable[..., object]]] = {
    ("now", 0): now,
    ("json.parse", 1): parse_json,
    ("json.marshal", 1): marshal_json,
    ("net.isIP", 1): is_ip,
    ("net.isIPv4", 1): is_ipv4,
    ("net.isIPv6", 1): is_ipv6,
    ("net.isPrivateIP", 1): is_private_ip,
    ("net.isIPInRange", 2): is_ip_in_range,
    ("time.isWeekday", 1): is_weekday,
    ("time.isWeekend", 1): is_weekend,
    ("time.isWeekdayInTZ", 2): is_weekday,
    ("time.isWeekendInTZ", 2): is_weekend,
    ("hasAny", 2): has_any,
    ("hasAll", 2): has_all,
    ("min", 1): minimum,
    ("max", 1): maximum,
    ("toLower", 1): to_lower,
    ("toUpper", 1): to_upper,
}
