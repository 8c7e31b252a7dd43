"""Tests of Policies: who asks for what, and what has to come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPECTATIONS: Final = {
    "allow": "ALLOWED",
    "deny": "DENIED",
    "unauthenticated": "UNAUTHENTICATED",
    "bad-request": "BAD_REQUEST",
    "error": "ERROR",
}
"""What a case may expect, and the outcome of the decision that this means."""

WORDS: Final = {outcome: word for word, outcome in EXPECTATIONS.items()}
"""The same in the other direction."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whose request it is: that of a User, of a Session made with a Credential, or nobody's.

    `session` and `device` are in JSON form, laid over a new Session and its Device.
    """

    label: str
    user: str = ""
    credential: str = ""
    session: Mapping[str, Any] = field(default_factory=dict)
    device: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """One request and its expected decision. `line` counts from 1 within the file `source`.

    `expect` is a word of `EXPECTATIONS`; `rule` (a rule's name, or its place in words) and
    `config` are checked unless empty. `at` is in Unix seconds; None stands for now.
    """

    source: str
    line: int
    name: str
    who: Who
    service: str
    request: dict[str, Any] | None
    at: float | None
    expect: str
    rule: str = ""
    config: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one file. `files` are the resources' files; None: those beside the tests."""

    source: str
    files: tuple[str, ...] | None
    cases: tuple[PolicyCase, ...]
