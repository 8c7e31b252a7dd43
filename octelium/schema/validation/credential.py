"""Credentials."""

from __future__ import annotations

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule

_LONGEST = 2 * 365 * 86400
_TYPE = core.CredentialSpecType__
_FOR_WORKLOADS = {_TYPE.OAUTH2: "OAUTH2", _TYPE.ACCESS_TOKEN: "ACCESS_TOKEN"}


@rule(core.CredentialSpec)
def check_credential(spec: core.CredentialSpec, path: str, validator: Validator) -> None:
    """A Credential belongs to one User for good; some types are for workloads only."""
    if spec.HasField("expires_at"):
        remaining = spec.expires_at.seconds - validator.now
        if remaining <= 0:
            raise Invalid(f"{path}.expiresAt", "is in the past")
        if remaining > _LONGEST:
            raise Invalid(f"{path}.expiresAt", "is more than two years ahead")
    if spec.auto_delete and not spec.max_authentications:
        raise Invalid(f"{path}.autoDelete", "needs maxAuthentications", "add maxAuthentications")
    old: core.Credential | None = validator.old
    if old is not None:
        if spec.type != old.spec.type:
            raise Invalid(f"{path}.type", "cannot be changed", "create another Credential")
        if spec.user != old.spec.user:
            raise Invalid(f"{path}.user", "cannot be changed", "create another Credential")
    user = None if validator.view is None else validator.view.get("User", spec.user)
    if spec.type in _FOR_WORKLOADS and user is not None:
        name = _FOR_WORKLOADS[spec.type]
        if user.spec.type != core.UserSpecType__.WORKLOAD:
            raise Invalid(f"{path}.type", f"{name} Credentials are for WORKLOAD Users only")
