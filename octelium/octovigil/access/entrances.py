"""Where somebody may begin in a Service of which only some paths are open."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from octelium.octovigil.explain.supposing import suppose
from octelium.octovigil.inquiry import Inquiry, InquiryError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.replica.replica import Replica

_HTTP: Final = (core.ServiceSpecMode__.HTTP, core.ServiceSpecMode__.WEB)
_CONSTANT: Final = re.compile(
    r'(?<![\w.!])ctx\.request\.http\.path(?:\.startsWith\(| == | in \[)("(?:[^"\\]|\\.)*")'
)
"""What a path is compared with, in a condition as lists of accesses show it."""
_MAX_TRIED: Final = 4
"""Paths of one Service."""
_MAX_SERVICES: Final = 50


def entrances(
    replica: Replica,
    session: str,
    items: Iterable[ext.Access],
    now: float,
    may_go_on: Callable[[], bool],
) -> dict[str, str]:
    """By Service, a path that the Session of this uid may open with GET where `/` may not be.

    `items` are what it may do. Each path is really decided on. Services without a path that is
    compared with a constant are left out, and all that are left when `may_go_on` tells to stop.
    """
    found: dict[str, str] = {}
    tried = 0
    for item in items:
        service = replica.service_by_name.get(item.service)
        if item.verdict != ext.AccessVerdict__.DEPENDS or service is None:
            continue
        paths = list(dict.fromkeys(_paths(item.depends_on)))[:_MAX_TRIED]
        if not paths or not service.is_public or service.message.spec.mode not in _HTTP:
            continue
        if tried >= _MAX_SERVICES or not may_go_on():
            break
        tried += 1
        for path in ("/", *paths):
            if _is_open(replica, session, item.service, path, now):
                if path != "/":
                    found[item.service] = path
                break
    return found


def _paths(conditions: Iterable[str]) -> Iterator[str]:
    for condition in conditions:
        for match in _CONSTANT.finditer(condition):
            try:
                path = json.loads(match[1])
            except ValueError:  # an escape that JSON does not have
                continue
            if path.startswith("/") and path.isprintable() and path.strip("/"):
                yield path


def _is_open(replica: Replica, session: str, service: str, path: str, now: float) -> bool:
    http = {"method": "GET", "path": path, "uri": path, "headers": {}}
    inquiry = Inquiry(service, session=session, request={"http": http})
    try:
        return suppose(replica, inquiry, now).decide().allowed
    except InquiryError:
        return False
