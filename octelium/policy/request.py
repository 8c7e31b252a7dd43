"""What a Service mode lets the decision point know about a request: `ctx.request`, read lazily.

Building the whole object costs more than deciding on it, so the decision point asks for single
paths and a mode computes no more than it is asked for.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class _Missing(Enum):
    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing.MISSING
"""Nothing stands at a path; different from `None`, which is JSON's null."""

Missing = Literal[_Missing.MISSING]

Path = tuple[str, ...]
"""Keys below `ctx.request`, such as `("http", "headers", "x-team")`; `()` is the whole object."""


class Request(Protocol):
    """One request, query, statement or connection, as the mode that serves it sees it.

    Values are JSON values (str, bool, int, float, None, list, dict with str keys). `read` and
    `context` must agree: `read(p)` is what walking `context()` along `p` finds.
    """

    @property
    def token(self) -> bytes | None:
        """The access token found in the mode's places, the first non-empty one; None without."""

    @property
    def client_address(self) -> str:
        """The client's IP address as text, empty if the mode knows none."""

    def context(self) -> dict[str, Any]:
        """The whole `ctx.request` object."""

    def read(self, path: Path) -> object:
        """The value at `path`, or `MISSING`. Must not raise."""

    def repeated(self, path: Path) -> bool:
        """Whether the value at `path`, or one below it, was given more than once, or in a form
        that servers read in different ways.

        Only headers, query parameters and the path of a URI can be; `ctx.request` shows the first
        of them and one reading, while an upstream may look at another one.
        """


class DictRequest:
    """A request whose `ctx.request` object is at hand in full."""

    __slots__ = ("_context", "_repeated", "client_address", "token")

    def __init__(
        self,
        context: Mapping[str, Any] | None = None,
        *,
        token: bytes | None = None,
        client_address: str = "",
        repeated: Collection[Path] = (),
    ) -> None:
        self._context: dict[str, Any] = dict(context or {})
        self._repeated = tuple(repeated)
        self.token = token
        self.client_address = client_address

    def context(self) -> dict[str, Any]:
        """The whole `ctx.request` object."""
        return self._context

    def read(self, path: Path) -> object:
        """The value at `path`, or `MISSING`."""
        value: Any = self._context
        for key in path:
            if type(value) is not dict or key not in value:
                return MISSING
            value = value[key]
        return value

    def repeated(self, path: Path) -> bool:
        """Whether one of the repeated paths stands at, below or above `path`."""
        return any(
            known[: len(path)] == path or path[: len(known)] == known for known in self._repeated
        )


class NoRequest:
    """A stream without a request object, such as one of a TCP or UDP Service."""

    __slots__ = ("client_address", "token")

    def __init__(self, client_address: str = "") -> None:
        self.token: bytes | None = None
        self.client_address = client_address

    def context(self) -> dict[str, Any]:
        """Nothing: conditions find no `ctx.request`."""
        return {}

    def read(self, path: Path) -> object:  # noqa: ARG002 - the Protocol's signature
        """`MISSING`: not even the object itself is there."""
        return MISSING

    def repeated(self, path: Path) -> bool:  # noqa: ARG002 - the Protocol's signature
        """Nothing is."""
        return False
