"""What a connection of this host offers, in words: after it has begun, and in `status`."""

from __future__ import annotations

from typing import Any


def offers(connection: dict[str, Any]) -> list[tuple[str, str]]:
    """A name and a line for each: own address, names, published ports, served Services."""
    names = connection.get("dns") or {}
    found = [
        ("Address", ", ".join(connection.get("addresses", ()))),
        ("Names", str(names.get("problem") or names.get("names") or "")),
        ("Published", ", ".join(map(_published, connection.get("published", ())))),
        ("Served", ", ".join(map(_served, connection.get("served", ())))),
    ]
    return [(name, text) for name, text in found if text]


def minute(instant: str) -> str:
    """A time of RFC 3339 in UTC as people read it, such as `2030-03-17 17:47 UTC`."""
    return f"{instant[:16].replace('T', ' ')} UTC"


def _published(each: dict[str, Any]) -> str:
    host = str(each.get("address"))
    place = f"[{host}]" if ":" in host else host
    return f"{each.get('service')} at {place}:{each.get('port')}"


def _served(each: dict[str, Any]) -> str:
    problem = each.get("problem")
    return f"{each.get('service')} from {each.get('upstream')}" + (
        f" ({problem})" if problem else ""
    )
