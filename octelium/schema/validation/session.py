"""Sessions. The Cluster makes them; administrators change their state, expiry and Policies."""

from __future__ import annotations

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule


@rule(core.SessionSpec)
def check_session(spec: core.SessionSpec, path: str, validator: Validator) -> None:
    """A Session that is changed ends in the future."""
    if spec.HasField("expires_at") and spec.expires_at.seconds <= validator.now:
        raise Invalid(f"{path}.expiresAt", "is in the past", "delete the Session to end it")
