"""Hands the attempts to sign in that `octelium.identity` tells of to the log store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from octelium.cluster.refusals import Refusals
from octelium.identity.attempts import Outcome
from octelium.visibility.attempt import AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.cluster.refusals import Unlisted
    from octelium.identity.attempts import Attempt
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.visibility.attempt_store import AttemptStore


class AuthenticationLog:
    """See `octelium.identity.attempts.AttemptLog`."""

    def __init__(
        self,
        store: AttemptStore,
        clock: Callable[[], float] = time.time,
        refusals: Refusals | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._refusals = refusals or Refusals(time.monotonic)

    def record(self, attempt: Attempt) -> None:
        """Keep an attempt, or count it if too many like it were refused within a minute.

        What the store cannot write, it counts and tells of itself.
        """
        self.settle()
        if attempt.outcome is Outcome.SUCCEEDED or self._refusals.lists(attempt):
            self._store.append(self._record(attempt))

    def settle(self) -> None:
        """Tell of the attempts that were only counted, once their minute is over."""
        for unlisted in self._refusals.take():
            self._store.append(self._summary(unlisted))

    @property
    def unlisted(self) -> int:
        """Attempts that were only counted."""
        return self._refusals.unlisted

    def _record(self, attempt: Attempt) -> AttemptRecord:
        return AttemptRecord(
            at=self._clock(),
            way=attempt.way.value,
            outcome=attempt.outcome.value,
            code=attempt.code,
            reason=attempt.reason,
            user=_form(attempt.user),
            session=_form(attempt.session),
            credential=_form(attempt.credential),
            identity_provider=_form(attempt.provider),
            authenticator=_form(attempt.authenticator),
            identifier=attempt.identifier,
            email=attempt.email,
            aal=attempt.aal,
            client_address=attempt.downstream.address,
            country=attempt.country,
            user_agent=attempt.downstream.user_agent,
            operation=attempt.operation,
        )

    def _summary(self, unlisted: Unlisted) -> AttemptRecord:
        last = unlisted.last
        return AttemptRecord(
            at=self._clock(),
            way=last.way.value,
            outcome=last.outcome.value,
            code=last.code,
            reason=f"{unlisted.count} more attempts within a minute, which are not listed one by "
            f"one; the last of them: {last.reason}",
            client_address=unlisted.address,
            operation=last.operation,
        )


def _form(reference: meta.ObjectReference | None) -> dict[str, Any] | None:
    if reference is None or not reference.uid:
        return None
    return {"kind": reference.kind, "name": reference.name, "uid": reference.uid}
