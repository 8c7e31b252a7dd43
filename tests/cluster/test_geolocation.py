from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cluster.geolocation import Geolocation, place_of
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.cluster.mmdb import database
from tests.identity.cluster import add_config, lone_transaction

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

LEIDEN: dict[str, Any] = {
    "continent": {"code": "EU", "names": {"en": "Europe", "de": "Europa"}},
    "country": {"iso_code": "NL", "names": {"en": "The Netherlands"}},
    "subdivisions": [{"iso_code": "ZH", "names": {"en": "South Holland"}}],
    "city": {"names": {"en": "Leiden"}},
    "location": {
        "latitude": 52.16,
        "longitude": 4.49,
        "accuracy_radius": 20,
        "time_zone": "Europe/Amsterdam",
    },
    "postal": {"code": "2311"},
    "traits": {"autonomous_system_number": 64500, "isp": "An ISP", "domain": "isp.test"},
}
HERE = "192.0.2.7"


class World:
    def __init__(self) -> None:
        self.tx: Transaction = lone_transaction()
        self.cluster = add_config(self.tx)
        self.geolocation = Geolocation(self.tx)

    def hold(self, data: bytes, name: str = "geo") -> None:
        config = self.tx.find(core.Config, name=name)
        if config is None:
            config = core.Config(kind="Config")
            config.metadata.name = name
            config.data.value_bytes = data
            self.tx.create(config)
        else:
            config.data.value_bytes = data
            self.tx.update(config)

    def choose(self, name: str) -> None:
        self.cluster.spec.authentication.geolocation.mmdb.from_config = name
        self.cluster = self.tx.update(self.cluster)

    def country(self, address: str = HERE) -> str | None:
        place = self.geolocation.locate(address)
        return None if place is None else place.country.code


@pytest.fixture(name="world")
def world_fixture() -> World:
    return World()


def test_places_come_from_the_config_that_is_chosen(world: World) -> None:
    world.hold(database({"192.0.2.0/24": LEIDEN}))
    assert world.country() is None
    world.choose("geo")
    assert world.country() == "NL"
    assert world.country("198.51.100.1") is None
    assert world.country("2001:db8::1") is None  # a database of IPv4 alone
    assert world.geolocation.trouble == ""


def test_a_changed_config_counts_at_once(world: World) -> None:
    world.hold(database({"192.0.2.0/24": LEIDEN}))
    world.choose("geo")
    assert world.country() == "NL"
    world.hold(gzip.compress(database({"192.0.2.0/24": {"country": {"iso_code": "BE"}}})))
    assert world.country() == "BE"
    world.choose("")
    assert world.country() is None
    assert world.geolocation.trouble == ""


def test_the_layout_of_a_place() -> None:
    assert to_json(place_of(HERE, LEIDEN)) == {
        "ip": HERE,
        "ipVersion": "V4",
        "country": {"code": "NL", "name": "The Netherlands"},
        "region": {"code": "ZH", "name": "South Holland"},
        "city": {"name": "Leiden"},
        "continent": {"code": "EU", "name": "Europe"},
        "network": {"asn": "64500", "isp": "An ISP", "domain": "isp.test"},
        "timezone": {"id": "Europe/Amsterdam"},
        "postalCode": "2311",
        "coordinates": {"latitude": 52.16, "longitude": 4.49, "accuracyRadius": 20.0},
    }
    assert to_json(place_of("2001:db8::1", {})) == {"ip": "2001:db8::1", "ipVersion": "V6"}
    asn = {"autonomous_system_number": 1, "autonomous_system_organization": "AS one"}
    assert to_json(place_of(HERE, asn))["network"] == {"asn": "1", "organization": "AS one"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*LEIDEN, "autonomous_system_number"]), JSON))
def test_any_record_makes_a_place(record: dict[str, Any]) -> None:
    assert place_of(HERE, record).ip == HERE


@pytest.mark.parametrize("problem", ["gone", "none", "cut", "damaged"])
def test_a_database_that_cannot_be_used_is_told_and_refuses_nobody(
    world: World, caplog: pytest.LogCaptureFixture, problem: str
) -> None:
    data = database({"192.0.2.0/24": LEIDEN})
    if problem == "none":
        world.hold(b"no database")
    elif problem == "cut":
        world.hold(gzip.compress(data)[:-20])
    elif problem == "damaged":
        world.hold(data[:60] + b"\xab\xcd\xefMaxMind.com" + b"\xe1")
    world.choose("geo")
    assert world.country() is None
    assert world.country() is None
    assert "geo" in world.geolocation.trouble
    assert len(caplog.records) == 1
    world.hold(data)
    assert world.country() == "NL"
    assert world.geolocation.trouble == ""


def test_damage_within_a_database_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    data = database({"192.0.2.0/24": LEIDEN})
    broken = data.replace(b"iso_code", b"\xff\xff\xff\xff\xff\xff\xff\xff")
    world.hold(broken)
    world.choose("geo")
    assert world.country() is None
    assert "cannot be read" in caplog.text


def test_a_setting_that_is_not_offered_is_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.cluster.spec.authentication.geolocation.mmdb.upstream.url = "https://h/geo.mmdb"
    world.cluster = world.tx.update(world.cluster)
    assert world.country() is None
    assert "upstream is not offered" in caplog.text
