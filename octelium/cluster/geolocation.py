"""Where addresses are, by a database in MaxMind's format that a Config of the Cluster holds.

ClusterConfig `authentication.geolocation.mmdb.fromConfig` names the Config
(https://octelium.com/docs/octelium/latest/management/core/cluster-config). It is read when the
first address is looked up, and again when it has changed. Without a usable database nobody's place
is known, which refuses no login by itself.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, Final

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.mmdb import database_of

if TYPE_CHECKING:
    from maxminddb import Reader as Database

    from octelium.store.reading import Reader

_LOG = logging.getLogger(__name__)
_LONGEST: Final = 256
"""Characters of a name."""
_LANGUAGE: Final = "en"


class Geolocation:
    """Looks addresses up."""

    def __init__(self, resources: Reader) -> None:
        self._resources = resources
        self._database: Database | None = None
        self._version: tuple[str, str, bool] | None = None
        self.trouble = ""
        """Why the configured database cannot be used; empty if it can, or none is configured."""

    def locate(self, address: str) -> core.GeoIp | None:
        """Where `address` is, an IPv4 or IPv6 address; None if that is not known."""
        database = self._current()
        if database is None:
            return None
        try:
            found = database.get(address)
            return place_of(address, found) if isinstance(found, dict) else None
        except Exception:  # noqa: BLE001 - logged; whatever a damaged database does, logins go on
            _LOG.exception("the database of addresses cannot be read")
            return None

    def _current(self) -> Database | None:
        cluster = self._resources.peek(core.ClusterConfig, name="default")
        settings = None if cluster is None else cluster.spec.authentication.geolocation.mmdb
        name = "" if settings is None else settings.from_config
        config = self._resources.peek(core.Config, name=name) if name else None
        upstream = settings is not None and settings.HasField("upstream")
        version = (name, "" if config is None else config.metadata.resource_version, upstream)
        if version != self._version:
            self._version = version
            self._load(name)
            if upstream:
                self._fail("geolocation by mmdb.upstream is not offered; use mmdb.fromConfig")
        return self._database

    def _load(self, name: str) -> None:
        self._database, self.trouble = None, ""
        if not name:
            return
        config = self._resources.find(core.Config, name=name)
        if config is None:
            self._fail(f"geolocation: there is no Config {name}")
            return
        # Only those who look addresses up have the library.
        from maxminddb import MODE_FD, InvalidDatabaseError, open_database

        try:
            self._database = open_database(io.BytesIO(database_of(config)), MODE_FD)
        except (Invalid, InvalidDatabaseError, ValueError) as error:
            self._fail(f"geolocation: Config {name}: {error}")

    def _fail(self, problem: str) -> None:
        self.trouble = problem
        _LOG.error("%s", problem)


def place_of(address: str, record: dict[str, Any]) -> core.GeoIp:
    """A record of the City, Country, Enterprise, ASN or ISP layout in the form of the schema.

    https://dev.maxmind.com/geoip/docs/databases/city-and-country. Names are English; what is
    missing or of another type is left out.
    """
    versions = core.GeoIpIpVersion__
    place = core.GeoIp(ip=address, ip_version=versions.V6 if ":" in address else versions.V4)
    country, continent = _map(record, "country"), _map(record, "continent")
    _set(place, "country", code=_text(country, "iso_code"), name=_name(country))
    _set(place, "continent", code=_text(continent, "code"), name=_name(continent))
    _set(place, "city", name=_name(_map(record, "city")))
    subdivisions = record.get("subdivisions")
    if isinstance(subdivisions, list) and subdivisions and isinstance(subdivisions[0], dict):
        region = subdivisions[0]
        _set(place, "region", code=_text(region, "iso_code"), name=_name(region))
    location = _map(record, "location")
    _set(place, "timezone", id=_text(location, "time_zone"))
    latitude, longitude = _number(location, "latitude"), _number(location, "longitude")
    if latitude is not None and longitude is not None:
        place.coordinates.latitude = latitude
        place.coordinates.longitude = longitude
        place.coordinates.accuracy_radius = _number(location, "accuracy_radius") or 0.0
    place.postal_code = _text(_map(record, "postal"), "code")
    traits = _map(record, "traits") or record
    _set(
        place,
        "network",
        isp=_text(traits, "isp"),
        organization=_text(traits, "organization")
        or _text(traits, "autonomous_system_organization"),
        domain=_text(traits, "domain"),
    )
    number = traits.get("autonomous_system_number")
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 1 << 32:
        place.network.asn = number
    return place


def _set(place: core.GeoIp, part: str, **texts: str) -> None:
    """Set the texts of a part of which there are any; a part without any stays absent."""
    for name, text in texts.items():
        if text:
            setattr(getattr(place, part), name, text)


def _map(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) and len(value) <= _LONGEST else ""


def _name(record: dict[str, Any]) -> str:
    return _text(_map(record, "names"), _LANGUAGE)


def _number(record: dict[str, Any], name: str) -> float | None:
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e9 < value < 1e9 else None
