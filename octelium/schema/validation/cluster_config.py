"""The Cluster's settings."""

from __future__ import annotations

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.mmdb import database_of
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


@rule(core.ClusterConfigSpecDns)
def check_dns(dns: core.ClusterConfigSpecDns, path: str, validator: Validator) -> None:
    """Zones have servers and domains; no domain has two zones or is the Cluster's own."""
    known: set[str] = set()
    own = "" if validator.root is None else validator.root.status.domain
    for index, zone in enumerate(dns.zones):
        place = f"{path}.zones[{index}]"
        if not zone.servers:
            raise Invalid(f"{place}.servers", "is missing", "give the servers that know the zone")
        if not zone.domains:
            raise Invalid(f"{place}.domains", "is missing", "give the zone's domains")
        for number, given in enumerate(zone.domains):
            domain = given.lower().removesuffix(".")
            where = f"{place}.domains[{number}]"
            if domain in known:
                raise Invalid(where, f"{domain!r} is given twice")
            if domain == "local" or _is_private(domain, own):
                problem = f"the Cluster itself answers for {domain!r}"
                raise Invalid(where, problem, "remove it")
            known.add(domain)


def _is_private(domain: str, own: str) -> bool:
    suffixes = (f"local.{own}", f"{own}.local") if own else ()
    return any(f".{domain}".endswith(f".{suffix}") for suffix in suffixes)


@rule(core.ClusterConfigSpecAuthenticationGeolocationMmdb)
def check_geolocation(
    settings: core.ClusterConfigSpecAuthenticationGeolocationMmdb, path: str, validator: Validator
) -> None:
    """The Config holds a database of addresses."""
    name = settings.from_config
    config = None if validator.view is None or not name else validator.view.get("Config", name)
    if config is None or config.data.WhichOneof("type") is None:
        return  # that it exists is a rule of the field; where data is unknown it is not judged
    try:
        database_of(config)
    except Invalid as error:
        problem = f"the Config {name!r} cannot be used: {error.path} {error.problem}"
        raise Invalid(f"{path}.fromConfig", problem, error.remedy) from None
