"""Which names are a private network's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOCAL = "local."


def private_suffixes(domains: Iterable[str], zones: Iterable[str] = ()) -> tuple[str, ...]:
    """The suffixes whose names only the Cluster is asked for, without a dot at the end.

    Args:
        domains: the Cluster's own, such as `local.example.com`, of which `example.com.local` is
            another spelling.
        zones: further ones that were declared.
    """
    found = []
    for domain in map(_plain, domains):
        found.append(domain)
        if domain.startswith(_LOCAL):
            found.append(f"{domain.removeprefix(_LOCAL)}.local")
    if found:
        found.append("local")
    return tuple(dict.fromkeys([*found, *filter(None, map(_plain, zones))]))


def is_under(name: str, suffixes: Iterable[str]) -> bool:
    """Whether a name, of any case, is one of the suffixes or under one."""
    lower = "." + _plain(name)
    return any(lower.endswith(f".{suffix}") for suffix in suffixes)


def _plain(name: str) -> str:
    return name.strip().lower().strip(".")
