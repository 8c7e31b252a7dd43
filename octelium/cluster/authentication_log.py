"""Hands the attempts to sign in that `octelium.identity` tells of to the log store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from octelium.visibility.attempt import AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.identity.attempts import Attempt
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.visibility.attempt_store import AttemptStore


class AuthenticationLog:
    """See `octelium.identity.attempts.AttemptLog`."""

    def __init__(self, store: AttemptStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def record(self, attempt: Attempt) -> None:
        """Keep an attempt. What the store cannot write, it counts and tells of itself."""
        record = AttemptRecord(
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
        self._store.append(record)


def _form(reference: meta.ObjectReference | None) -> dict[str, Any] | None:
    if reference is None or not reference.uid:
        return None
    return {"kind": reference.kind, "name": reference.name, "uid": reference.uid}
