"""The columns of each kind's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.cli.ages import age, remaining

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octelium.schema.kinds import Kind

    Cell = Callable[[Any, float], str]
    Columns = tuple[tuple[str, Cell], ...]


def rows(kind: Kind, items: Iterable[Any], now: float) -> tuple[list[str], list[list[str]]]:
    """Headers and cells of resources of one kind; `now` in Unix seconds."""
    columns = COLUMNS.get(kind.name, _PLAIN)
    headers = [header for header, _ in columns]
    return headers, [[cell(item, now) for _, cell in columns] for item in items]


SPARSE = frozenset({"ADDRESSES", "URL", "DISPLAYNAME"})
"""Columns that are left out where no row has anything in them."""


def without_empty(headers: list[str], cells: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The same table without the columns in `SPARSE` that have no text in any row."""
    kept = [
        index
        for index, header in enumerate(headers)
        if header not in SPARSE or any(row[index] for row in cells)
    ]
    return [headers[index] for index in kept], [[row[index] for index in kept] for row in cells]


def enum_name(message: Any, field: str) -> str:
    """The name of an enum field's value; empty for its default, the number if it is unknown."""
    value = getattr(message, field)
    if not value:
        return ""
    known = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(value)
    return known.name if known is not None else str(value)


def yes(value: bool) -> str:
    """`yes` or `no`."""
    return "yes" if value else "no"


def policies(item: Any) -> str:
    """The Policies that are attached to a resource, and how many of its own it has."""
    own = len(item.spec.authorization.inline_policies)
    return ",".join((*item.spec.authorization.policies, *([f"+{own} inline"] if own else ())))


def _name(item: Any, _now: float) -> str:
    return str(item.metadata.name)


def _age(item: Any, now: float) -> str:
    return age(item.metadata.created_at, now)


def _user(item: Any, _now: float) -> str:
    return str(item.status.user_ref.name)


def _user_of_credential(item: Any, _now: float) -> str:
    return str(item.status.user_ref.name or item.spec.user)


def _spec(field: str) -> Cell:
    return lambda item, _now: enum_name(item.spec, field)


def _status(field: str) -> Cell:
    return lambda item, _now: enum_name(item.status, field)


def _disabled(item: Any, _now: float) -> str:
    return yes(item.spec.is_disabled)


def _addresses(item: Any, _now: float) -> str:
    both = (address.dual_stack_ip for address in item.status.addresses)
    return ",".join(text for ip in both for text in (ip.ipv4, ip.ipv6) if text)


_NAME: tuple[str, Cell] = ("NAME", _name)
_AGE: tuple[str, Cell] = ("AGE", _age)
_USER: tuple[str, Cell] = ("USER", _user)
_DISABLED: tuple[str, Cell] = ("DISABLED", _disabled)
_PLAIN: Columns = (_NAME, _AGE)

COLUMNS: dict[str, Columns] = {
    "Authenticator": (
        _NAME,
        _USER,
        ("TYPE", _status("type")),
        _AGE,
        ("REGISTERED", lambda item, _: yes(item.status.is_registered)),
        ("STATE", _spec("state")),
        ("AUTHENTICATIONS", lambda item, _: str(item.status.successful_authentications)),
    ),
    "Credential": (
        _NAME,
        ("USER", _user_of_credential),
        _AGE,
        ("TYPE", _spec("type")),
        ("EXPIRES", lambda item, now: remaining(item.spec.expires_at, now)),
        _DISABLED,
    ),
    "Device": (
        _NAME,
        _USER,
        ("STATE", _spec("state")),
        _AGE,
        ("OS", _status("os_type")),
        ("HOSTNAME", lambda item, _: str(item.status.hostname)),
    ),
    "Gateway": (
        _NAME,
        ("REGION", lambda item, _: str(item.status.region_ref.name)),
        ("NODE", lambda item, _: str(item.status.node_ref.name)),
        _AGE,
    ),
    "IdentityProvider": (_NAME, ("TYPE", _status("type")), _AGE, _DISABLED),
    "Policy": (_NAME, ("RULES", lambda item, _: str(len(item.spec.rules))), _AGE, _DISABLED),
    "Region": (
        _NAME,
        ("ADDRESSES", lambda item, _: ",".join(item.status.ingress_addresses)),
        _AGE,
    ),
    "Service": (
        _NAME,
        ("MODE", _spec("mode")),
        ("PORT", lambda item, _: str(item.status.port or "")),
        _AGE,
        ("PUBLIC", lambda item, _: yes(item.spec.is_public)),
        ("ANONYMOUS", lambda item, _: yes(item.spec.is_anonymous)),
        ("TLS", lambda item, _: yes(item.spec.is_tls)),
        _DISABLED,
        ("ADDRESSES", _addresses),
    ),
    "Session": (
        _NAME,
        _USER,
        ("TYPE", _status("type")),
        ("EXPIRES", lambda item, now: remaining(item.spec.expires_at, now)),
        _AGE,
        ("STATE", _spec("state")),
        ("CONNECTED", lambda item, _: yes(item.status.is_connected)),
    ),
    "User": (
        _NAME,
        ("GROUPS", lambda item, _: ",".join(item.spec.groups)),
        ("TYPE", _spec("type")),
        _AGE,
        ("EMAIL", lambda item, _: str(item.spec.email)),
        _DISABLED,
    ),
}
"""The columns by kind; other kinds show name and age."""
