"""Users; nobody locks himself out, and what belongs to a User goes with it."""

from __future__ import annotations

from octelium.apiserver.cascade import delete_belongings
from octelium.apiserver.core.rules import Change, Rules
from octelium.store.errors import PermissionDenied


class UserRules(Rules):
    """Credentials outlive their User; they are of no use without it."""

    name = "User"
    hidden = True

    def check_update(self, change: Change) -> None:
        """Refuse to disable the caller's own User."""
        if change.new is not None and change.new.spec.is_disabled and _is_own(change):
            raise PermissionDenied("you cannot disable your own User")

    def check_delete(self, change: Change) -> None:
        """Refuse to delete the caller's own User."""
        if _is_own(change):
            raise PermissionDenied("you cannot delete your own User")

    def deleted(self, change: Change) -> None:
        """Its Sessions, Devices and Authenticators go too."""
        delete_belongings(change.tx, change.old)


def _is_own(change: Change) -> bool:
    session = change.caller.session(change.tx)
    return bool(session.status.user_ref.uid == change.old.metadata.uid)


RULES = UserRules()
