"""Authenticators; registered by their Users, approved or rejected here."""

from __future__ import annotations

from typing import Any

from octelium.apiserver.core.rules import REVISE, ListFilter, Rules
from octelium.schema.pb import core_v1_pb2 as core


class AuthenticatorRules(Rules):
    """What registration and challenges are proved with stays inside, sealed as it is."""

    name = "Authenticator"
    verbs = REVISE
    guards_system = False
    spec_only = True
    filters = (ListFilter("user_ref", "User", "status.userRef"),)

    def shown(self, message: Any) -> Any:
        """A copy without the sealed parts."""
        copy = core.Authenticator()
        copy.CopyFrom(message)
        if copy.status.info.HasField("totp"):
            copy.status.info.totp.ClearField("shared_secret")
        attempts = list(copy.status.last_authentication_attempts)
        if copy.status.HasField("authentication_attempt"):
            attempts.append(copy.status.authentication_attempt)
        for attempt in attempts:
            attempt.ClearField("encrypted_challenge_request")
            attempt.ClearField("encrypted_data_map")
            attempt.ClearField("data_map")
        return copy


RULES = AuthenticatorRules()
