"""What the test makes go wrong, and what it reads about what was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.failure import Failure, conflict

if TYPE_CHECKING:
    from tests.peers.kubernetes.resources import Resource

WRITES = frozenset({"create", "update", "patch", "apply", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was answered. `changed`: whether an object is different for it."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    user: str = ""
    manager: str = ""
    code: int = 200
    changed: bool = False
    dry: bool = False


@dataclass(slots=True)
class Fault:
    """An answer instead of the right one, to requests that match; "" matches everything.

    `times` counts down; None is for ever. `after` has the request carried out all the same, so
    that only its answer is lost. `delay` in seconds; with `code` 0 the right answer comes, late.
    """

    code: int = 0
    verb: str = ""
    resource: str = ""
    name: str = ""
    user: str = ""
    times: int | None = 1
    delay: float = 0.0
    after: bool = False
    retry_after: int = 1
    hits: int = 0

    def matches(self, asked: Asked) -> bool:
        """Whether it is for this request."""
        return (
            self.times != 0
            and self.verb in ("", asked.verb, "write" if asked.verb in WRITES else "read")
            and self.resource in ("", asked.resource)
            and self.name in ("", asked.name)
            and self.user in ("", asked.user)
        )

    def use(self) -> None:
        """It has struck."""
        self.hits += 1
        if self.times is not None:
            self.times -= 1

    def failure(self, resource: Resource | None, name: str) -> Failure:
        """The answer."""
        if self.code == 409 and resource is not None:
            return conflict(resource, name)
        if self.code == 429:
            details: dict[str, Any] = {"retryAfterSeconds": self.retry_after}
            message = "too many requests, please try again later"
            headers = {"Retry-After": str(self.retry_after)}
            return Failure(429, "TooManyRequests", message, details, headers)
        if self.code == 503:
            return Failure(503, "ServiceUnavailable", "the server is currently unable to serve")
        if self.code == 504:
            return Failure(504, "Timeout", "request did not complete within the allowed timeout")
        if self.code == 401:
            return Failure(401, "Unauthorized", "Unauthorized")
        if self.code == 403:
            return Failure(403, "Forbidden", "forbidden: by the test")
        message = "Internal error occurred: by the test"
        return Failure(self.code, "InternalError", message)


@dataclass(slots=True)
class Faults:
    """The faults that are set, and every request so far."""

    set: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def add(self, fault: Fault) -> Fault:
        """Set one more."""
        self.set.append(fault)
        return fault

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.set.clear()

    def strike(self, asked: Asked) -> Fault | None:
        """The first fault for a request, counted."""
        for fault in self.set:
            if fault.matches(asked):
                fault.use()
                return fault
        return None

    def requests(self, **wanted: Any) -> list[Asked]:
        """Those whose attributes are as wanted, such as `verb="apply", name="web"`."""
        return [
            one
            for one in list(self.asked)
            if all(getattr(one, name) == value for name, value in wanted.items())
        ]

    def writes(self, **wanted: Any) -> list[Asked]:
        """The same of requests to write, without dry runs."""
        return [one for one in self.requests(**wanted) if one.verb in WRITES and not one.dry]
