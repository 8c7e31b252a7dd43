"""What thinks about decisions, and the questions that it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.schema.pb import ext_v1_pb2 as ext
    from octelium.store.transaction import Transaction
    from octelium.visibility.logged import LoggedRequest


@dataclass(frozen=True, slots=True)
class Question:
    """One request to think about, in JSON form as conditions see it.

    Names and uids are those of `ext.ExplainRequest`; `at` is in Unix seconds, None at present;
    `address` is the client's, empty if unknown.
    """

    service: str
    session: str = ""
    user: str = ""
    session_fields: Mapping[str, Any] = field(default_factory=dict)
    device_fields: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] | None = None
    at: float | None = None
    address: str = ""


class Engine(Protocol):
    """Explains single decisions, on the resources of one moment.

    `asker` is the uid of the Session that asks: one may ask one question at a time. All methods
    raise `Invalid` for a question that cannot be asked, `Unavailable` when too many wait, and
    `ApiError` with DEADLINE_EXCEEDED for an answer that takes too long.
    """

    async def explain(
        self, question: Question, *, find_change: bool, asker: str
    ) -> ext.Explanation:
        """Why a request is decided as it is."""

    async def explain_logged(
        self,
        logged: LoggedRequest,
        *,
        at: float | None,
        private: bool,
        find_change: bool,
        asker: str,
    ) -> ext.Explanation:
        """Why a logged request would be decided as it would be; notes say what is not known.

        With `private`, that includes what of a request only its sender may see.
        """


class Hypothesis(Protocol):
    """The Cluster as it is, and as it would be after an apply."""


class AccessEngine(Protocol):
    """Answers questions about many decisions at once; `asker` and errors are as with `Engine`."""

    async def list_access(self, user: str, service: str, *, asker: str) -> ext.ListAccessResponse:
        """What new Sessions of Users may do with Services; empty names mean all."""

    def suppose(self, tx: Transaction) -> Hypothesis:
        """The Cluster as it is and as it would be after a transaction that is under way."""

    async def preview_access(
        self, hypothesis: Hypothesis, *, logged_requests: int, asker: str
    ) -> ext.PreviewAccessResponse:
        """What a hypothesis changes, also for so many of the newest logged requests."""
