"""The Cluster's settings."""

from __future__ import annotations

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule


def _refuse_rejected(path: str, what: str) -> None:
    raise Invalid(f"{path}.defaultState", f"new {what} cannot begin REJECTED")


@rule(core.ClusterConfigSpecSessionHuman)
@rule(core.ClusterConfigSpecSessionWorkload)
def check_sessions(
    settings: core.ClusterConfigSpecSessionHuman | core.ClusterConfigSpecSessionWorkload,
    path: str,
    _validator: Validator,
) -> None:
    """New Sessions begin active or pending."""
    if settings.default_state == core.SessionSpecState__.REJECTED:
        _refuse_rejected(path, "Sessions")


@rule(core.ClusterConfigSpecDeviceHuman)
@rule(core.ClusterConfigSpecDeviceWorkload)
def check_devices(
    settings: core.ClusterConfigSpecDeviceHuman | core.ClusterConfigSpecDeviceWorkload,
    path: str,
    _validator: Validator,
) -> None:
    """New Devices begin active or pending."""
    if settings.default_state == core.DeviceSpecState__.REJECTED:
        _refuse_rejected(path, "Devices")


@rule(core.ClusterConfigSpecAuthenticator)
def check_authenticators(
    settings: core.ClusterConfigSpecAuthenticator, path: str, _validator: Validator
) -> None:
    """New Authenticators begin active or pending."""
    if settings.default_state == core.AuthenticatorSpecState__.REJECTED:
        _refuse_rejected(path, "Authenticators")
