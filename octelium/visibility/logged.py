"""A request as the access log remembers it, for those who ask how it would be decided again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.visibility.batch import entry_id, longest
from octelium.visibility.entry import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.visibility.batch import Batch, Row

_REQUEST_FIELDS = ("user_agent", "referer", "origin")


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One row of a batch. Nothing is worked out before it is asked for.

    The query of `target` and that of the referer are here as they came, secrets included: the
    official form of an entry has neither.
    """

    batch: Batch
    row: Row

    @property
    def id(self) -> str:
        """What identifies the entry."""
        return entry_id(self.batch.prefix, self.row.number)

    @property
    def at(self) -> float:
        """Unix seconds at which the request came."""
        return self.row.started

    @property
    def subject(self) -> Mapping[str, Any]:
        """Who, what and why: an `AuditSubject` as a mapping."""
        return self.batch.subjects[self.row.subject]

    @property
    def allowed(self) -> bool:
        """How it was decided."""
        return bool(self.subject["allowed"])

    @property
    def mode(self) -> str:
        """Name of the Service mode."""
        return str(self.subject["mode"])

    def reference(self, part: str) -> Mapping[str, Any]:
        """The `ObjectReference` to `service`, `session`, `user`, …, in JSON form; {} if none."""
        return self.subject[part] or {}

    @property
    def method(self) -> str:
        """The HTTP method."""
        return text(self.batch.texts[self.batch.shapes[self.row.shape].method])

    @property
    def target(self) -> bytes:
        """Path and query as they were forwarded."""
        return self.row.target

    @property
    def host(self) -> str:
        """The name by which the client called the Service."""
        return text(self.batch.texts[self.batch.shapes[self.row.shape].host])

    @property
    def client_address(self) -> str:
        """The client's address; empty if it was not known."""
        return text(self.batch.texts[self.batch.shapes[self.row.shape].client_address])

    @property
    def error(self) -> str:
        """Why Octelium itself answered; empty if no more than a decision is the reason."""
        return text(self.batch.texts[self.batch.shapes[self.row.shape].error])

    def headers(self) -> dict[str, str]:
        """The few header fields of the request that are kept."""
        shape = self.batch.shapes[self.row.shape]
        fields = {}
        for name in _REQUEST_FIELDS:
            if value := self.batch.texts[getattr(shape, name)]:
                fields[name.replace("_", "-")] = text(value)
        return fields

    @property
    def cut(self) -> bool:
        """Whether something was too long to be kept whole."""
        shape, texts = self.batch.shapes[self.row.shape], self.batch.texts
        span = self.batch.span
        longest_text, longest_target = longest(known=span is None or not span.anonymous)
        return len(self.row.target) >= longest_target or any(
            len(texts[getattr(shape, name)]) >= longest_text for name in _REQUEST_FIELDS
        )
