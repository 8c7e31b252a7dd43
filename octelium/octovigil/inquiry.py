"""A question about a request, real or supposed: who would ask for what, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.policy.request import Path


class InquiryError(ValueError):
    """A question that cannot be asked: it names what does not exist, or contradicts itself."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One request to think about. Everything is in JSON form, as conditions see it.

    `session` is the name or uid of an existing Session; `user` the name of a User of whom a new
    Session is made; with neither, the request comes from nobody. `session_fields` and
    `device_fields` are laid over the Session and its Device, key by key; a Device takes part if
    the Session has one, or if any `device_fields` are given. `request` is `ctx.request`; None
    stands for a stream without one. `at` is the time of the request in Unix seconds, now if None.
    `address` is the client's, that of `request` if empty.

    `unknown` are paths below `ctx.request` at which nobody knows what stood there, as for the
    headers of a logged request. `repeated` are those at which something was given twice, or in a
    form that servers read in different ways. `refusal` is why nothing is decided on the request:
    no server of this Cluster takes it.
    """

    service: str
    session: str = ""
    user: str = ""
    session_fields: Mapping[str, Any] = field(default_factory=dict)
    device_fields: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] | None = None
    at: float | None = None
    address: str = ""
    unknown: frozenset[Path] = frozenset()
    repeated: frozenset[Path] = frozenset()
    refusal: str = ""
