"""Lengths of time that specs hold."""

from __future__ import annotations

from octelium.schema import durations
from octelium.schema.errors import Invalid
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.validation.rules import Validator, rule


@rule(meta.Duration)
def check_duration(duration: meta.Duration, path: str, _validator: Validator) -> None:
    """A length is at least one whole second and at most 100 years."""
    length = durations.seconds(duration)
    if length < 1:
        raise Invalid(path, "is shorter than a second", "write a length such as {minutes: 5}")
    if length > durations.LONGEST:
        raise Invalid(path, "is longer than 100 years")
