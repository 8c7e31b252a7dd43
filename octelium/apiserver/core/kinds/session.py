"""Sessions; made by signing in, so only their spec can be changed here."""

from __future__ import annotations

from octelium.apiserver.core.rules import REVISE, Change, ListFilter, Rules
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import PermissionDenied


class SessionRules(Rules):
    """Nobody ends or suspends the Session that asks for it."""

    name = "Session"
    verbs = REVISE
    spec_only = True
    named_updates = False
    filters = (ListFilter("user_ref", "User", "status.userRef"),)

    def check_update(self, change: Change) -> None:
        """Refuse to suspend the caller's own Session."""
        if change.new is not None and change.new.spec.state != core.SessionSpecState__.ACTIVE:
            _refuse_own(change, "you cannot suspend your own Session")

    def check_delete(self, change: Change) -> None:
        """Refuse to delete the caller's own Session."""
        _refuse_own(change, "you cannot delete your own Session; log out instead")


def _refuse_own(change: Change, problem: str) -> None:
    if change.caller.session_uid == change.old.metadata.uid:
        raise PermissionDenied(problem)


RULES = SessionRules()
