"""Policies: their own resources and those written inline."""

from __future__ import annotations

from octelium.schema import names
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule

MAX_BYTES = 100_000


@rule(core.PolicySpec)
def check_policy_spec(spec: core.PolicySpec, path: str, _validator: Validator) -> None:
    """A Policy is bounded as a whole; its rules are checked one by one."""
    if spec.ByteSize() > MAX_BYTES:
        raise Invalid(path, f"is {spec.ByteSize()} bytes", f"at most {MAX_BYTES} are allowed")


@rule(core.Policy)
def check_policy(policy: core.Policy, _path: str, validator: Validator) -> None:
    """A dotted Policy is created below one that exists."""
    parent = names.parent_policy_name(policy.metadata.name)
    if parent is not None and validator.old is None:
        validator.reference("Policy", parent, "metadata.name")
