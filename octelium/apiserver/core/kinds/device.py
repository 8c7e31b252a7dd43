"""Devices; registered by their Users, approved or rejected here."""

from __future__ import annotations

from octelium.apiserver.cascade import delete_device_sessions
from octelium.apiserver.core.rules import REVISE, Change, ListFilter, Rules
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import PermissionDenied


class DeviceRules(Rules):
    """The Sessions of a Device end with it."""

    name = "Device"
    verbs = REVISE
    guards_system = False
    spec_only = True
    filters = (ListFilter("user_ref", "User", "status.userRef"),)

    def check_update(self, change: Change) -> None:
        """Refuse to suspend the Device that the caller's own Session is bound to."""
        if change.new is None or change.new.spec.state == core.DeviceSpecState__.ACTIVE:
            return
        session = change.caller.session(change.tx)
        if session.status.device_ref.uid == change.old.metadata.uid:
            raise PermissionDenied("you cannot suspend your own Device")

    def deleted(self, change: Change) -> None:
        """The Sessions that are bound to it go too."""
        delete_device_sessions(change.tx, change.old)


RULES = DeviceRules()
